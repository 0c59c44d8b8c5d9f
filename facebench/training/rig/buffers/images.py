"""The physical buffers of one face as numbers, and as eight-bit pictures."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from facebench.core.errors import InputError

Floats = NDArray[np.float32]
Picture = NDArray[np.uint8]

PLANES = ("rendered", "normal", "albedo")
"""In the order in which a DiffusionRig reads them."""
ZERO = 128
"""Byte of a normal's 0, so that nothing is exactly nothing; 127 steps reach 1."""


@dataclass(frozen=True)
class Planes:
    """Buffers of one face, each (size, size, 3) float32, zero off the face.

    Attributes:
        rendered: the face under its light, from 0; over-exposed places may exceed 1.
        normal: unit normals, x right, y up, z towards the viewer.
        albedo: diffuse colour in [0, 1].
    """

    rendered: Floats
    normal: Floats
    albedo: Floats

    @property
    def conditions(self) -> Floats:
        """(9, size, size): rendered, normal, albedo, as a DiffusionRig reads them."""
        together = np.concatenate([getattr(self, name) for name in PLANES], axis=2)
        return np.ascontiguousarray(together.transpose(2, 0, 1), np.float32)


def to_bytes(planes: Planes, brightest: float) -> Picture:
    """Eight bits per number, (9, size, size) uint8.

    Args:
        planes: of one face.
        brightest: value of `rendered` that 255 stands for; brighter places are clipped.

    Example:
        >>> grey = np.full((2, 2, 3), 0.5, np.float32)
        >>> to_bytes(Planes(grey, grey * 0, grey), 1.0)[:, 0, 0]
        array([128, 128, 128, 128, 128, 128, 128, 128, 128], dtype=uint8)
    """
    values = planes.conditions
    scaled = np.concatenate(
        [values[:3] * (255 / brightest), values[3:6] * (ZERO - 1) + ZERO, values[6:] * 255]
    )
    rounded: Picture = np.rint(scaled).clip(0, 255).astype(np.uint8)
    return rounded


def encode(photo: Picture, conditions: Picture) -> bytes:
    """A photo (size, size, 3) and its buffers (9, size, size) as one lossless WebP, one below the other."""
    size = len(photo)
    tiles = conditions.reshape(3, 3, size, size).transpose(0, 2, 3, 1).reshape(3 * size, size, 3)
    stream = io.BytesIO()
    # Settings beyond these save a few percent and take twice as long.
    image = Image.fromarray(np.concatenate([photo, tiles]))
    image.save(stream, "WEBP", lossless=True, quality=25, method=2, exact=True)
    return stream.getvalue()


def decode(data: bytes, name: str) -> tuple[Picture, Picture]:
    """Undo `encode`: the photo (size, size, 3) and the buffers (9, size, size).

    Raises:
        InputError: the bytes are damaged.
    """
    try:
        stack = np.array(Image.open(io.BytesIO(data), formats=["WEBP"]).convert("RGB"))
    except (UnidentifiedImageError, OSError, ValueError) as error:
        raise InputError(
            f"{name}: its buffers are damaged ({error}). Delete the set and make it again."
        ) from None
    size = stack.shape[1]
    tiles = stack[size:].reshape(3, size, size, 3).transpose(0, 3, 1, 2).reshape(9, size, size)
    return stack[:size], np.ascontiguousarray(tiles)
