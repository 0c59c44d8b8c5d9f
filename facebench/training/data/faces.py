"""Interface of a training set, and its batches."""

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
        name: name for messages.
        image: (size, size, 3) uint8 RGB.
        fields: labels such as identity, valence or psi: scalars or arrays.
    """

    name: str
    image: NDArray[np.uint8]
    fields: Mapping[str, NDArray[np.generic]] = field(default_factory=dict)


class Faces(Protocol):
    """A training set. `read` depends on the index only, so that runs can be repeated and resumed."""

    def __len__(self) -> int:
        """Return the number of images."""

    def read(self, index: int) -> Face:
        """Read image `index`.

        Raises:
            ImageError: the image cannot be read; training skips and counts it.
        """


@dataclass(frozen=True)
class Batch:
    """Images of one step, or of a part of it.

    Attributes:
        names: names for messages.
        images: (n, 3, size, size) uint8 RGB.
        rows: (n,) int64 positions in the batch over all processes. Random numbers depend on the position, so that
            distributed training takes the same steps as a single process.
        fields: (n, ...) labels by name.
        skipped: images that could not be read, with the reason.
    """

    names: tuple[str, ...]
    images: Tensor
    rows: Tensor
    fields: dict[str, Tensor] = field(default_factory=dict)
    skipped: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    def to(self, device: torch.device | str) -> Batch:
        """Copy the batch to a device."""
        fields = {name: value.to(device, non_blocking=True) for name, value in self.fields.items()}
        images = self.images.to(device, non_blocking=True)
        return Batch(self.names, images, self.rows, fields, self.skipped)

    @property
    def x_0(self) -> Tensor:
        """Images (n, 3, size, size) as float32 in [-1, 1]."""
        return self.images.float() / 127.5 - 1
