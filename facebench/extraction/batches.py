"""Batches of one fixed size, so that the result of an image does not depend on its neighbours."""

from __future__ import annotations

from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from facebench.backbones.base import Backbone
from facebench.errors import FacebenchError
from facebench.extraction import fast

Ticket = TypeVar("Ticket")
Rows = dict[str, npt.NDArray[np.float32]]


class Batcher(Generic[Ticket]):
    """Collects the inputs of one network and runs it whenever a batch is full.

    Matrix products round differently for different batch sizes. A batch that is not full is therefore filled
    up with copies of its last input, and the surplus results are thrown away.

    Args:
        backbone: the network.
        size: inputs in a batch; halved for good when the device runs out of memory.
    """

    def __init__(self, backbone: Backbone, size: int) -> None:
        self.backbone = backbone
        self.size = size
        self.warnings: list[str] = []
        self._waiting: list[tuple[Ticket, Tensor]] = []

    def add(self, ticket: Ticket, tensor: Tensor) -> list[tuple[Ticket, Rows]]:
        """Take one input; give the results of a batch when it has become full, else nothing."""
        self._waiting.append((ticket, tensor))
        return self.flush() if len(self._waiting) >= self.size else []

    def flush(self) -> list[tuple[Ticket, Rows]]:
        """Run what is waiting and give each ticket its row of every array."""
        results: list[tuple[Ticket, Rows]] = []
        while self._waiting:
            batch = self._waiting[: self.size]
            try:
                arrays = fast.embed(self.backbone, self._stack([tensor for _, tensor in batch]))
            except torch.OutOfMemoryError as error:
                self._halve(error)
                continue
            for row, (ticket, _) in enumerate(batch):
                results.append((ticket, {name: array[row] for name, array in arrays.items()}))
            del self._waiting[: len(batch)]
        return results

    def _stack(self, tensors: list[Tensor]) -> Tensor:
        stacked = torch.stack(tensors + tensors[-1:] * (self.size - len(tensors)))
        device = self.backbone.device
        if device.type == "cuda":
            return stacked.pin_memory().to(device, non_blocking=True)
        return stacked

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
