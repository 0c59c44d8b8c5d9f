"""Execution on a Ray cluster: blocks of images are sent to workers, results are returned.

This process reads the files and uses the store, as without a cluster. Workers decode, detect faces and run the
networks; they need neither the image folder nor the store. The block of a lost worker is sent to another worker.
"""

from __future__ import annotations

import itertools
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from facebench.backbones import Backbone, build, detector
from facebench.core.environment import describe
from facebench.core.errors import FacebenchError, InputError, WeightsError
from facebench.core.suggest import suggest
from facebench.features.engine.cache import network_of
from facebench.features.engine.compute import Compute, Event, default_batch_size
from facebench.features.engine.preparation import ImageTask
from facebench.features.engine.ray_connection import connect
from facebench.features.store.sqlite import Network

ENGINES = ("local", "ray")

_BATCHES_PER_BLOCK = 4
_BLOCKS_PER_WORKER = 2
"""Blocks assigned to a worker: the next one is transferred while the first is computed."""
_MAX_LOST_WORKERS = 3
"""Workers that may be lost on the same block before the run fails."""
_STARTING = -1
"""Key that counts the workers lost while they were starting."""
_TIMEOUT_SECONDS = 600.0
"""Time without any result after which the cluster is considered dead."""

Build = Callable[[str], Backbone]
"""Builds a network on a device. It must be picklable: a function that workers can import, or a `partial` of one."""


class Worker:
    """Actor that runs in each worker process with its own copy of the networks."""

    def __init__(
        self, builds: Sequence[Build], detector: str, device: str, threads: int, batch_size: int | None
    ) -> None:
        self._builds, self._detector, self._device = builds, detector, device
        self._threads, self._batch_size = threads, batch_size

    def start(self) -> tuple[list[Network], str]:
        """Build the networks; return their store keys and the name of the device."""
        import torch

        torch.set_num_threads(self._threads)
        finder = detector(self._detector)
        backbones = [build(self._device) for build in self._builds]
        self._compute = Compute(backbones, finder, self._batch_size, self._threads)
        return [network_of(finder), *map(network_of, backbones)], describe(self._device)["device"]

    def compute(self, tasks: Sequence[ImageTask]) -> list[Event]:
        """Process a block of tasks."""
        return list(self._compute(tasks))


@dataclass(eq=False)
class _WorkerHandle:
    """State of a worker in this process."""

    actor: Any
    ready: bool = False
    blocks: int = 0


class Cluster:
    """Workers on a Ray cluster, one per GPU or one per as many cores as this process has threads.

    The number of threads determines how sums are rounded. Results equal the local ones bit for bit
    under two conditions: the same number of threads (`OMP_NUM_THREADS`) and the same kind of processor.

    Args:
        backbones: networks of this process; only their names and weights are used.
        builds: functions that build each of them in a worker.
        device: "auto" (GPUs if the cluster has any), "cpu" or "cuda".
        address: address of a running cluster; "auto" finds the cluster of this machine. None uses the cluster that
            this process has joined, or starts one on this machine and stops it afterwards.
        batch_size: of every network; None selects a default for the device.
        face_detector: name of the face detector.

    Raises:
        InputError: ray is not installed, no cluster answers at the address, or it has no resources for a worker.
    """

    def __init__(
        self,
        backbones: Sequence[Backbone],
        builds: Sequence[Build],
        *,
        device: str = "auto",
        address: str | None = None,
        batch_size: int | None = None,
        face_detector: str = "yunet",
    ) -> None:
        self._ray, self._connected_here = connect(address)
        self._detector = face_detector
        self._expected = [network_of(detector(face_detector)), *map(network_of, backbones)]
        self._builds, self._batch_size = list(builds), batch_size
        self.warnings: list[str] = []
        self._workers: list[_WorkerHandle] = []
        self._running: dict[Any, tuple[_WorkerHandle, list[ImageTask] | None]] = {}
        self._returned: deque[list[ImageTask]] = deque()
        self._losses: Counter[int] = Counter()
        self._count, self._options, self._threads = self._capacity(device)
        self.device = self.device_name = "cuda" if "num_gpus" in self._options else "cpu"

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the workers, and the cluster if it was started here."""
        for worker in self._workers:
            with suppress(Exception):
                self._ray.kill(worker.actor)
        if self._connected_here:
            self._ray.shutdown()

    def compute(self, tasks: Iterator[ImageTask]) -> Generator[Event, None, None]:
        """Process all tasks in any order; lost workers are replaced and their blocks repeated.

        Raises:
            FacebenchError: several workers were lost on one block, or no worker answers.
            WeightsError: a worker has different weights.
        """
        size = _BATCHES_PER_BLOCK * (self._batch_size or default_batch_size(self.device))
        blocks = iter(lambda: list(itertools.islice(tasks, size)), [])
        self._losses.clear()
        try:
            while self._assign(blocks):
                finished, _ = self._ray.wait(list(self._running), num_returns=1, timeout=_TIMEOUT_SECONDS)
                if not finished:
                    raise FacebenchError(
                        f"No worker of the Ray cluster has answered for {_TIMEOUT_SECONDS:.0f} s. "
                        "Check it with `ray status`."
                    )
                yield from self._receive(finished[0])
        finally:
            self._running = {ref: entry for ref, entry in self._running.items() if entry[1] is None}
            self._returned.clear()
            for worker in self._workers:
                worker.blocks = 0

    def _assign(self, blocks: Iterator[list[ImageTask]]) -> bool:
        """Assign blocks to free workers; return whether any result is pending."""
        while (worker := self._free_worker()) is not None or not self._workers:
            block = self._returned.popleft() if self._returned else next(blocks, None)
            if block is None:
                return any(running is not None for _, running in self._running.values())
            if worker is None:
                self._returned.append(block)
                for _ in range(self._count):
                    self._start_worker()
                return True
            worker.blocks += 1
            self._running[worker.actor.compute.remote(block)] = worker, block
        return True

    def _free_worker(self) -> _WorkerHandle | None:
        """Return the ready worker with the fewest blocks; None if all are busy."""
        free = [worker for worker in self._workers if worker.ready and worker.blocks < _BLOCKS_PER_WORKER]
        return min(free, key=lambda worker: worker.blocks, default=None)

    def _start_worker(self) -> None:
        remote = self._ray.remote(**self._options)(Worker)
        worker = _WorkerHandle(
            remote.remote(self._builds, self._detector, self.device, self._threads, self._batch_size)
        )
        self._workers.append(worker)
        self._running[worker.actor.start.remote()] = worker, None

    def _receive(self, ref: Any) -> list[Event]:
        """Return the results of a block; none if its worker has just started or was lost."""
        worker, block = self._running.pop(ref)
        try:
            answer = self._ray.get(ref)
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause if isinstance(error.cause, FacebenchError) else error from None
        except self._ray.exceptions.RayError:
            self._replace_worker(worker, block)
            return []
        if block is not None:
            worker.blocks -= 1
            events: list[Event] = answer
            return events
        networks, self.device_name = answer
        for expected, actual in zip(self._expected, networks, strict=True):
            if expected != actual:
                raise WeightsError(
                    f"A worker of the Ray cluster has a different version or different weights of {expected.name}. "
                    "Install the same facebench and the same weights on all machines."
                )
        worker.ready = True
        self._losses[_STARTING] = 0
        return []

    def _replace_worker(self, worker: _WorkerHandle, block: list[ImageTask] | None) -> None:
        """Start a worker in place of a lost one and queue its block again."""
        if worker in self._workers:
            self._workers.remove(worker)
            self.warnings.append("A worker of the Ray cluster was lost; its images were computed again.")
            self._start_worker()
        if block is not None:
            self._returned.append(block)
        key = _STARTING if block is None else block[0].index
        self._losses[key] += 1
        if self._losses[key] >= _MAX_LOST_WORKERS:
            when = "while starting" if block is None else f"on images {block[0].name} to {block[-1].name}"
            raise FacebenchError(
                f"{_MAX_LOST_WORKERS} workers of the Ray cluster were lost {when}. Check that they have enough "
                "memory. Computed results are stored; --engine local continues from there."
            )

    def _capacity(self, device: str) -> tuple[int, dict[str, int], int]:
        """Return the number of workers, the resources of each, and its number of threads."""
        import torch

        machines = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        if device != "cpu" and (with_gpu := [machine for machine in machines if machine.get("GPU", 0) >= 1]):
            cores = min(max(1, int(machine.get("CPU", 1) / machine["GPU"])) for machine in with_gpu)
            gpus = sum(int(machine["GPU"]) for machine in with_gpu)
            return gpus, {"num_gpus": 1, "num_cpus": cores}, cores
        if device not in ("auto", "cpu"):
            raise InputError(f"The Ray cluster has no device '{device}'. Leave out --device.")
        threads = torch.get_num_threads()
        count = sum(int(machine.get("CPU", 0) // threads) for machine in machines)
        if count == 0:
            raise InputError(
                f"No machine of the Ray cluster has {threads} cores, the number of threads of this process. "
                "Set OMP_NUM_THREADS to a smaller number."
            )
        return count, {"num_cpus": threads}, threads


def open_cluster(
    engine: str, backbones: Sequence[Backbone], device: str, address: str | None, face_detector: str = "yunet"
) -> AbstractContextManager[Cluster | None]:
    """Return a cluster whose workers build the same networks by name; None for the engine "local".

    Raises:
        InputError: unknown engine, an address without the engine "ray", or as raised by `Cluster`.
    """
    if engine == "ray":
        builds = [partial(build, backbone.name, None) for backbone in backbones]
        return Cluster(backbones, builds, device=device, address=address, face_detector=face_detector)
    if engine != "local":
        raise InputError(f"'{engine}' is not an engine. {suggest(engine, ENGINES)}")
    if address is not None:
        raise InputError(f"The address '{address}' refers to a Ray cluster. Add --engine ray.")
    return nullcontext()
