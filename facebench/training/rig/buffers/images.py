"""Physical buffers of one face, as floats and as eight-bit images."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from facebench.core.errors import InputError

Floats = NDArray[np.float32]
ImageArray = NDArray[np.uint8]

BUFFERS = ("rendered", "normal", "albedo")
"""Order of the buffers in the input of a DiffusionRig."""
ZERO = 128
"""Byte that represents 0 in a normal map; ±1 are 127 steps away."""


@dataclass(frozen=True)
class BufferImages:
    """Buffers of one face, each (size, size, 3) float32, zero outside the face.

    Attributes:
        rendered: face under its light, from 0; overexposed pixels may exceed 1.
        normal: unit normals, x right, y up, z towards the viewer.
        albedo: diffuse colour in [0, 1].
    """

    rendered: Floats
    normal: Floats
    albedo: Floats

    @property
    def conditions(self) -> Floats:
        """(9, size, size): rendered, normal, albedo, as a DiffusionRig reads them."""
        stacked = np.concatenate([getattr(self, name) for name in BUFFERS], axis=2)
        return np.ascontiguousarray(stacked.transpose(2, 0, 1), np.float32)


def to_bytes(buffers: BufferImages, brightest: float) -> ImageArray:
    """Quantise buffers to eight bits, (9, size, size) uint8.

        rendered → 255 · value / brightest,   normal → 127 · value + 128,   albedo → 255 · value

    Args:
        buffers: buffers of one face.
        brightest: value of `rendered` that byte 255 represents; larger values are clipped.

    Example:
        >>> grey = np.full((2, 2, 3), 0.5, np.float32)
        >>> to_bytes(BufferImages(grey, grey * 0, grey), 1.0)[:, 0, 0]
        array([128, 128, 128, 128, 128, 128, 128, 128, 128], dtype=uint8)
    """
    values = buffers.conditions
    scaled = np.concatenate(
        [values[:3] * (255 / brightest), values[3:6] * (ZERO - 1) + ZERO, values[6:] * 255]
    )
    rounded: ImageArray = np.rint(scaled).clip(0, 255).astype(np.uint8)
    return rounded


def encode(photo: ImageArray, conditions: ImageArray) -> bytes:
    """Encode a photo (size, size, 3) and its buffers (9, size, size), stacked vertically, as lossless WebP."""
    size = len(photo)
    tiles = conditions.reshape(3, 3, size, size).transpose(0, 2, 3, 1).reshape(3 * size, size, 3)
    stream = io.BytesIO()
    # Higher settings save a few percent of the size and take twice the time.
    image = Image.fromarray(np.concatenate([photo, tiles]))
    image.save(stream, "WEBP", lossless=True, quality=25, method=2, exact=True)
    return stream.getvalue()


def decode(data: bytes, name: str) -> tuple[ImageArray, ImageArray]:
    """Decode a photo (size, size, 3) and its buffers (9, size, size).

    Raises:
        InputError: the data is damaged.
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
