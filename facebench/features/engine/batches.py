"""Batches of one fixed size, so that the result of an image does not depend on its neighbours."""

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
from facebench.features.engine import fast

Ticket = TypeVar("Ticket")
Rows = dict[str, npt.NDArray[np.float32]]


class Batcher(Generic[Ticket]):
    """Collects the inputs of one network and runs it whenever a batch is full.

    Matrix products round differently for different batch sizes. A batch that is not full is therefore filled
    up with copies of its last input, and the surplus results are thrown away.

    On a GPU, one batch is copied to the device while the one before it is computed; its results come back
    from a later call.

    Args:
        backbone: the network.
        size: inputs in a batch; halved for good when the device runs out of memory.
        aside: run the network in a thread of its own; by default on a GPU only.
    """

    def __init__(self, backbone: Backbone, size: int, *, aside: bool | None = None) -> None:
        self.backbone = backbone
        self.size = size
        self.warnings: list[str] = []
        self._waiting: list[tuple[Ticket, Tensor]] = []
        self._aside = backbone.device.type == "cuda" if aside is None else aside
        self._running: deque[Future[list[tuple[Ticket, Rows]]]] = deque()

    def add(self, ticket: Ticket, tensor: Tensor) -> list[tuple[Ticket, Rows]]:
        """Take one input; give the results that have become ready, if any."""
        self._waiting.append((ticket, tensor))
        return self._launch() if len(self._waiting) >= self.size else []

    def flush(self) -> list[tuple[Ticket, Rows]]:
        """Run what is waiting and give all results that were not given yet."""
        results = self._launch() if self._waiting else []
        while self._running:
            results += self._running.popleft().result()
        return results

    def _launch(self) -> list[tuple[Ticket, Rows]]:
        """Run what is waiting; set aside, the results are those of the batch before."""
        batch, self._waiting = self._waiting, []
        if not self._aside:
            return self._run(batch, None)
        self._running.append(_thread().submit(self._run, batch, self._send(batch)))
        return self._running.popleft().result() if len(self._running) > 1 else []

    def _run(self, batch: list[tuple[Ticket, Tensor]], sent: Sent | None) -> list[tuple[Ticket, Rows]]:
        """Give each ticket its row of every array, in smaller batches if the device is full."""
        results: list[tuple[Ticket, Rows]] = []
        while batch:
            part = batch if sent is not None else batch[: self.size]
            try:
                inputs = sent.arrived() if sent is not None else self._stack(part).to(self.backbone.device)
                arrays = fast.embed(self.backbone, inputs)
            except torch.OutOfMemoryError as error:
                sent = None
                self._halve(error)
                continue
            for row, (ticket, _) in enumerate(part):
                results.append((ticket, {name: array[row] for name, array in arrays.items()}))
            batch = batch[len(part) :]
        return results

    def _stack(self, batch: list[tuple[Ticket, Tensor]]) -> Tensor:
        tensors = [tensor for _, tensor in batch]
        return torch.stack(tensors + tensors[-1:] * (self.size - len(tensors)))

    def _send(self, batch: list[tuple[Ticket, Tensor]]) -> Sent | None:
        """Begin to copy a batch to the GPU; None where there is nothing to copy, or no room for it yet."""
        device = self.backbone.device
        if device.type != "cuda":
            return None
        try:
            return Sent(self._stack(batch), device)
        except torch.OutOfMemoryError:
            return None

    def _halve(self, error: torch.OutOfMemoryError) -> None:
        if self.size == 1:
            raise FacebenchError(
                f"{self.backbone.name} runs out of memory on {self.backbone.device} with a single image. "
                "Free the device's memory or use --device cpu."
            ) from error
        self.size //= 2
        self.warnings.append(
            f"{self.backbone.name} ran out of memory on {self.backbone.device}; batches now hold {self.size}."
        )
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


class Sent:
    """Inputs on their way to a GPU, from pinned memory and on a stream of their own."""

    def __init__(self, inputs: Tensor, device: torch.device) -> None:
        stream = _copies(device)
        with torch.cuda.stream(stream):
            self._inputs = inputs.pin_memory().to(device, non_blocking=True)
        self._copied = stream.record_event()
        self._device = device

    def arrived(self) -> Tensor:
        """The inputs, for what is computed from here on in this thread."""
        stream = torch.cuda.current_stream(self._device)
        stream.wait_event(self._copied)
        self._inputs.record_stream(stream)
        return self._inputs


@functools.cache
def _copies(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


@functools.cache
def _thread() -> ThreadPoolExecutor:
    """One thread for all networks: exact arithmetic is switched on for the whole process while one runs."""
    return ThreadPoolExecutor(1, thread_name_prefix="networks")
