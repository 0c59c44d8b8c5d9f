"""The same work on a Ray cluster: blocks of images go out to workers, results come back.

This process reads the files, looks results up in the store and keeps new ones, as it does without a cluster.
Workers decode, find faces and run the networks; they need neither the images' folder nor the store. A block
whose worker is lost goes to another one.
"""

from __future__ import annotations

import itertools
import os
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from facebench.backbones import Backbone, build
from facebench.backbones.face_detection import FaceFinder
from facebench.core.environment import describe
from facebench.core.errors import FacebenchError, InputError, WeightsError
from facebench.features.engine.cache import network_of
from facebench.features.engine.compute import Compute, Event, default_batch
from facebench.features.engine.preparation import Task
from facebench.features.store.sqlite import Network

_BATCHES = 4
"""Batches of images in a block."""
_AHEAD = 2
"""Blocks that a worker has been given: while it computes one, the next is on its way."""
_ATTEMPTS = 3
"""Workers that may be lost over the same block before its images are held to be the cause."""
_START = -1
_PATIENCE = 600.0
"""Seconds without any answer after which the cluster is held to be dead."""

Build = Callable[[str], Backbone]
"""Builds a network for a device; a function that other processes can import, or a `partial` of one."""


class Worker:
    """What runs in each worker process: its own copy of the networks."""

    def __init__(self, builds: Sequence[Build], device: str, threads: int, batch_size: int | None) -> None:
        self._builds, self._device = builds, device
        self._threads, self._batch_size = threads, batch_size

    def start(self) -> tuple[list[Network], str]:
        """Build the networks; say which they are, and what they run on."""
        torch.set_num_threads(self._threads)
        finder = FaceFinder()
        backbones = [build(self._device) for build in self._builds]
        self._compute = Compute(backbones, finder, self._batch_size, self._threads)
        return [network_of(finder), *map(network_of, backbones)], describe(self._device)["device"]

    def compute(self, tasks: Sequence[Task]) -> list[Event]:
        """Do the work of a block."""
        return list(self._compute(tasks))


@dataclass(eq=False)
class _Hand:
    """A worker as this process sees it."""

    actor: Any
    ready: bool = False
    blocks: int = 0


class Cluster:
    """Workers on a Ray cluster, one per GPU or one per as many cores as this process has threads.

    The number of threads decides how sums are rounded: with as many in each worker as here
    (`OMP_NUM_THREADS`), results are those of the local engine bit for bit on the same kind of processor.

    Args:
        backbones: the networks as this process knows them: only their names and weights are looked at.
        builds: what builds each of them in a worker.
        device: "auto" (GPUs when the cluster has any), "cpu" or "cuda".
        address: of a running cluster; "auto" finds the one this machine belongs to; None takes the one that
            this process has joined already, or begins one on this machine alone and ends it afterwards.
        batch_size: of every network; by default as `facebench.features.extraction.extract` has it.

    Raises:
        InputError: ray is not installed, there is no cluster at the address, or it has no room for a worker.
    """

    def __init__(
        self,
        backbones: Sequence[Backbone],
        builds: Sequence[Build],
        *,
        device: str = "auto",
        address: str | None = None,
        batch_size: int | None = None,
    ) -> None:
        self._ray = _import_ray(alone=address is None)
        self._expected = [network_of(FaceFinder()), *map(network_of, backbones)]
        self._builds, self._batch_size = list(builds), batch_size
        self._ours = not self._ray.is_initialized()
        if self._ours:
            _connect(self._ray, address)
        self.warnings: list[str] = []
        self._hands: list[_Hand] = []
        self._running: dict[Any, tuple[_Hand, list[Task] | None]] = {}
        self._returned: deque[list[Task]] = deque()
        self._attempts: Counter[int] = Counter()
        self._count, self._options, self._threads = self._room(device)
        self.device = self.device_name = "cuda" if "num_gpus" in self._options else "cpu"

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the workers, and the cluster if it was begun here."""
        for hand in self._hands:
            with suppress(Exception):
                self._ray.kill(hand.actor)
        if self._ours:
            self._ray.shutdown()

    def compute(self, tasks: Iterator[Task]) -> Generator[Event, None, None]:
        """Do the work of all tasks, in any order; lost workers are replaced, and their blocks done again.

        Raises:
            FacebenchError: the same block cost several workers, nobody answers, or a worker has other weights.
        """
        size = _BATCHES * (self._batch_size or default_batch(self.device))
        blocks = iter(lambda: list(itertools.islice(tasks, size)), [])
        self._attempts.clear()
        try:
            while self._hand_out(blocks):
                done, _ = self._ray.wait(list(self._running), num_returns=1, timeout=_PATIENCE)
                if not done:
                    raise FacebenchError(
                        f"No worker of the Ray cluster has answered for {_PATIENCE:.0f} s. See `ray status`."
                    )
                yield from self._take(done[0])
        finally:
            self._running = {ref: held for ref, held in self._running.items() if held[1] is None}
            self._returned.clear()
            for hand in self._hands:
                hand.blocks = 0

    def _hand_out(self, blocks: Iterator[list[Task]]) -> bool:
        """Give work to whoever is free; whether there is anything to wait for."""
        while (hand := self._free()) is not None or not self._hands:
            block = self._returned.popleft() if self._returned else next(blocks, None)
            if block is None:
                return any(held is not None for _, held in self._running.values())
            if hand is None:
                self._returned.append(block)
                for _ in range(self._count):
                    self._hire()
                return True
            hand.blocks += 1
            self._running[hand.actor.compute.remote(block)] = hand, block
        return True

    def _free(self) -> _Hand | None:
        """The ready worker that has the least to do, unless all have enough."""
        ready = [hand for hand in self._hands if hand.ready and hand.blocks < _AHEAD]
        return min(ready, key=lambda hand: hand.blocks, default=None)

    def _hire(self) -> None:
        remote = self._ray.remote(**self._options)(Worker)
        hand = _Hand(remote.remote(self._builds, self.device, self._threads, self._batch_size))
        self._hands.append(hand)
        self._running[hand.actor.start.remote()] = hand, None

    def _take(self, ref: Any) -> list[Event]:
        """The results behind a reference; nothing when its worker has just begun, or is lost."""
        hand, block = self._running.pop(ref)
        try:
            answer = self._ray.get(ref)
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause if isinstance(error.cause, FacebenchError) else error from None
        except self._ray.exceptions.RayError:
            self._lose(hand, block)
            return []
        if block is not None:
            hand.blocks -= 1
            events: list[Event] = answer
            return events
        networks, self.device_name = answer
        for ours, theirs in zip(self._expected, networks, strict=True):
            if ours != theirs:
                raise WeightsError(
                    f"A worker of the Ray cluster has another version or other weights of {ours.name} than this "
                    "machine. Install the same facebench and the same weights on all machines."
                )
        hand.ready = True
        self._attempts[_START] = 0
        return []

    def _lose(self, hand: _Hand, block: list[Task] | None) -> None:
        """A worker is gone, with the block it had: hire another, and have the block done again."""
        if hand in self._hands:
            self._hands.remove(hand)
            self.warnings.append("A worker of the Ray cluster was lost; what it had was computed again.")
            self._hire()
        if block is not None:
            self._returned.append(block)
        key = _START if block is None else block[0].index
        self._attempts[key] += 1
        if self._attempts[key] >= _ATTEMPTS:
            what = "starting" if block is None else f"images {block[0].name} to {block[-1].name}"
            raise FacebenchError(
                f"{_ATTEMPTS} workers of the Ray cluster were lost over {what}. Do they have enough memory? "
                "What was computed is kept; --engine local continues from there."
            )

    def _room(self, device: str) -> tuple[int, dict[str, int], int]:
        """How many workers there is room for, what each takes, and its threads."""
        machines = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        if device != "cpu" and (gpus := [one for one in machines if one.get("GPU", 0) >= 1]):
            cores = min(max(1, int(one.get("CPU", 1) / one["GPU"])) for one in gpus)
            return sum(int(one["GPU"]) for one in gpus), {"num_gpus": 1, "num_cpus": cores}, cores
        if device not in ("auto", "cpu"):
            raise InputError(f"The Ray cluster has no device '{device}'. Leave out --device.")
        threads = torch.get_num_threads()
        count = sum(int(one.get("CPU", 0) // threads) for one in machines)
        if count == 0:
            raise InputError(
                f"No machine of the Ray cluster has {threads} cores, the number of threads of this process. "
                "Set OMP_NUM_THREADS to a smaller one."
            )
        return count, {"num_cpus": threads}, threads


def open_cluster(
    engine: str, backbones: Sequence[Backbone], device: str, address: str | None
) -> AbstractContextManager[Cluster | None]:
    """A cluster whose workers build the same networks by name; None for the engine "local".

    Raises:
        InputError: no such engine, an address without an engine that uses it, or as `Cluster` says.
    """
    if engine == "ray":
        builds = [partial(build, backbone.name, None) for backbone in backbones]
        return Cluster(backbones, builds, device=device, address=address)
    if engine != "local":
        raise InputError(f"There is no engine '{engine}'. There are: local, ray.")
    if address is not None:
        raise InputError(f"The address '{address}' is that of a Ray cluster. Add --engine ray.")
    return nullcontext()


def _import_ray(alone: bool) -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anybody
    if alone:  # a cluster on this machine listens to this machine; Ray reads this when it is imported
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    try:
        import ray
    except ImportError:
        raise InputError(
            "The engine 'ray' needs Ray, which is not installed. Install it with `pip install facebench[ray]`."
        ) from None
    return ray


def _connect(ray: Any, address: str | None) -> None:
    options = {"include_dashboard": False} if address is None else {}
    try:
        ray.init(address=address or "local", log_to_driver=False, logging_level="ERROR", **options)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise InputError(
            f"There is no Ray cluster at '{address}' ({error}). Begin one with `ray start --head`, or leave out "
            "--address to use this machine alone."
        ) from None
