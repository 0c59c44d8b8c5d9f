"""Batches of a fixed size, so that the result of an image does not depend on the other images in its batch."""

from __future__ import annotations

import functools
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from facebench.backbones.base import Backbone
from facebench.core.errors import FacebenchError
from facebench.features.engine import fused_cpu

Ticket = TypeVar("Ticket")
Rows = dict[str, npt.NDArray[np.float32]]


class Batcher(Generic[Ticket]):
    """Collect inputs of one network and run it on full batches.

    Matrix products round differently for different batch sizes. An incomplete batch is therefore padded with copies
    of its last input, and the surplus results are discarded.

    On a GPU, a batch is copied to the device while the previous one is computed; a later call returns its results.

    Args:
        backbone: the network.
        size: batch size; halved permanently if the device runs out of memory.
        threaded: run the network in a separate thread; by default only on a GPU.
    """

    def __init__(self, backbone: Backbone, size: int, *, threaded: bool | None = None) -> None:
        self.backbone = backbone
        self.size = size
        self.warnings: list[str] = []
        self._collected: list[tuple[Ticket, Tensor]] = []
        self._threaded = backbone.device.type == "cuda" if threaded is None else threaded
        self._running: deque[Future[list[tuple[Ticket, Rows]]]] = deque()

    def add(self, ticket: Ticket, tensor: Tensor) -> list[tuple[Ticket, Rows]]:
        """Add one input and return the results that have become available."""
        self._collected.append((ticket, tensor))
        return self._launch() if len(self._collected) >= self.size else []

    def flush(self) -> list[tuple[Ticket, Rows]]:
        """Run the incomplete batch and return all remaining results."""
        results = self._launch() if self._collected else []
        while self._running:
            results += self._running.popleft().result()
        return results

    def _launch(self) -> list[tuple[Ticket, Rows]]:
        """Run the collected batch; in threaded mode, return the results of the previous batch."""
        batch, self._collected = self._collected, []
        if not self._threaded:
            return self._run(batch, None)
        self._running.append(_network_thread().submit(self._run, batch, self._transfer(batch)))
        return self._running.popleft().result() if len(self._running) > 1 else []

    def _run(
        self, batch: list[tuple[Ticket, Tensor]], transfer: DeviceTransfer | None
    ) -> list[tuple[Ticket, Rows]]:
        """Return the row of every array for each ticket, using smaller batches if the device is full."""
        results: list[tuple[Ticket, Rows]] = []
        while batch:
            part = batch if transfer is not None else batch[: self.size]
            try:
                if transfer is not None:
                    inputs = transfer.wait()
                else:
                    inputs = self._stack(part).to(self.backbone.device)
                arrays = fused_cpu.embed(self.backbone, inputs)
            except torch.OutOfMemoryError as error:
                transfer = None
                self._halve_size(error)
                continue
            for row, (ticket, _) in enumerate(part):
                results.append((ticket, {name: array[row] for name, array in arrays.items()}))
            batch = batch[len(part) :]
        return results

    def _stack(self, batch: list[tuple[Ticket, Tensor]]) -> Tensor:
        tensors = [tensor for _, tensor in batch]
        return torch.stack(tensors + tensors[-1:] * (self.size - len(tensors)))

    def _transfer(self, batch: list[tuple[Ticket, Tensor]]) -> DeviceTransfer | None:
        """Start to copy a batch to the GPU; None on a CPU or if the GPU has no free memory yet."""
        device = self.backbone.device
        if device.type != "cuda":
            return None
        try:
            return DeviceTransfer(self._stack(batch), device)
        except torch.OutOfMemoryError:
            return None

    def _halve_size(self, error: torch.OutOfMemoryError) -> None:
        if self.size == 1:
            raise FacebenchError(
                f"{self.backbone.name} runs out of memory on {self.backbone.device} with a single image. "
                "Free memory of the device or use --device cpu."
            ) from error
        self.size //= 2
        self.warnings.append(
            f"{self.backbone.name} ran out of memory on {self.backbone.device}; the batch size is now {self.size}."
        )
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


class DeviceTransfer:
    """Asynchronous copy of inputs to a GPU, from pinned memory on a separate stream."""

    def __init__(self, inputs: Tensor, device: torch.device) -> None:
        stream = _copy_stream(device)
        with torch.cuda.stream(stream):
            self._inputs = inputs.pin_memory().to(device, non_blocking=True)
        self._copied = stream.record_event()
        self._device = device

    def wait(self) -> Tensor:
        """Make the current stream wait for the copy and return the inputs."""
        stream = torch.cuda.current_stream(self._device)
        stream.wait_event(self._copied)
        self._inputs.record_stream(stream)
        return self._inputs


@functools.cache
def _copy_stream(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


@functools.cache
def _network_thread() -> ThreadPoolExecutor:
    """Return the thread shared by all networks: exact arithmetic is a setting of the whole process."""
    return ThreadPoolExecutor(1, thread_name_prefix="networks")
