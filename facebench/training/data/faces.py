"""What a training set is: faces that are read by their number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class Face:
    """One training image.

    Attributes:
        name: what to call it in messages.
        image: (size, size, 3) uint8 RGB.
        fields: numbers that belong to it, such as identity, valence or psi: scalars or arrays.
    """

    name: str
    image: NDArray[np.uint8]
    fields: Mapping[str, NDArray[np.generic]] = field(default_factory=dict)


class Faces(Protocol):
    """A training set. `read` is a pure function of the index, so that a run can be repeated and resumed."""

    def __len__(self) -> int:
        """How many different faces there are."""

    def read(self, index: int) -> Face:
        """Read face `index`.

        Raises:
            ImageError: the file cannot be decoded; training counts it and goes on.
        """


@dataclass(frozen=True)
class Batch:
    """Faces of one step, ready for a network.

    Attributes:
        names: what to call them in messages.
        images: (n, 3, size, size) uint8 RGB.
        rows: (n,) int64, their positions in the whole batch, over all processes: what is drawn at random for a
            face depends on its position, so that several processes do what one would.
        fields: (n, ...) tensors by name.
        skipped: which faces could not be read, and why.
    """

    names: tuple[str, ...]
    images: Tensor
    rows: Tensor
    fields: dict[str, Tensor] = field(default_factory=dict)
    skipped: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on a device."""
        fields = {name: value.to(device, non_blocking=True) for name, value in self.fields.items()}
        images = self.images.to(device, non_blocking=True)
        return Batch(self.names, images, self.rows, fields, self.skipped)

    @property
    def x_0(self) -> Tensor:
        """(n, 3, size, size) float32 in [-1, 1]."""
        return self.images.float() / 127.5 - 1
