"""Resize methods of published implementations.

Bilinear and bicubic resizes differ between libraries, and the resize is part of a metric. Every function reproduces
one published behaviour and takes one uint8 RGB image (height, width, 3).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image as PillowImage
from torch import Tensor
from torch.nn import functional

from facebench.backbones.base import Image

Float = npt.NDArray[np.float32]


def tf1_bilinear(image: Image, size: int) -> Float:
    """Resize like TensorFlow 1: corner-aligned grid, no half-pixel centres, no antialiasing, no rounding.

    Output pixel i samples source coordinate i · in/out; the last pixel is repeated beyond the border. A shrinking
    image loses most of its pixels. On the CPU the result equals torch-fidelity's interpolation for the original
    FID graph bit for bit.

    Returns:
        float32 (size, size, 3), 0 to 255.

    Example:
        >>> import numpy as np
        >>> stripes = np.array([[[0] * 3, [100] * 3], [[0] * 3, [100] * 3]], np.uint8)
        >>> tf1_bilinear(stripes, 4)[0, :, 0]
        array([  0.,  50., 100., 100.], dtype=float32)
    """
    top, bottom, weight_y = _tf1_grid(image.shape[0], size)
    left, right, weight_x = _tf1_grid(image.shape[1], size)
    if max(image.shape[0], image.shape[1]) > 2 * size:  # few rows are needed: select them first
        upper, lower = (
            _interpolate_columns(image[rows].astype(np.float32), left, right, weight_x)
            for rows in (top, bottom)
        )
    else:  # most rows are needed twice: interpolate each once
        rows = _interpolate_columns(image.astype(np.float32), left, right, weight_x)
        upper, lower = rows.take(top, 0), rows.take(bottom, 0)
    lower -= upper
    lower *= weight_y[:, None, None]
    lower += upper
    return lower


def _interpolate_columns(
    rows: Float, left: npt.NDArray[np.int64], right: npt.NDArray[np.int64], weight: Float
) -> Float:
    """Interpolate between columns `left` and `right`."""
    start, result = rows.take(left, 1), rows.take(right, 1)
    result -= start
    result *= weight[:, None]
    result += start
    return result


def _tf1_grid(length: int, size: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Float]:
    """Return for each output index: the source pixels before and after, and the weight of the latter."""
    # TensorFlow computes the coordinate in float32; float64 would select other pixels in rare cases.
    coordinate = np.arange(size, dtype=np.float32) * np.float32(length / size)
    before = coordinate.astype(np.int64)
    after = np.minimum(before + 1, length - 1)
    return before, after, coordinate - before.astype(np.float32)


def pil_bicubic_float(image: Image, size: int) -> Float:
    """Resize each channel as a float image with Pillow's bicubic filter, without rounding to uint8.

    Pillow antialiases when it shrinks an image. Values are clipped to 0 and 255. This is the mode "clean" of
    Parmar et al. 2022, "On aliased resizing and surprising subtleties in GAN evaluation".

    Returns:
        float32 (size, size, 3), 0 to 255.
    """
    channels = [
        PillowImage.fromarray(image[:, :, channel].astype(np.float32)).resize(
            (size, size), PillowImage.Resampling.BICUBIC
        )
        for channel in range(3)
    ]
    return np.stack([np.asarray(channel, np.float32) for channel in channels], axis=2).clip(0, 255)


def torch_bilinear(image: Image, size: int) -> Tensor:
    """Resize in [0, 1] with PyTorch: half-pixel centres, no antialiasing. pytorch-fid uses this resize.

    Returns:
        float32 (3, size, size), 0 to 1.
    """
    unit = to_tensor(image.astype(np.float32) / np.float32(255))[None]
    return functional.interpolate(unit, size=(size, size), mode="bilinear", align_corners=False)[0]


def pil_bicubic(image: Image, size: int) -> Image:
    """Resize to a square with Pillow's bicubic filter on uint8, antialiased, without fixed aspect ratio.

    An image of this size is returned unchanged.
    """
    resized = PillowImage.fromarray(image).resize((size, size), PillowImage.Resampling.BICUBIC)
    return np.asarray(resized)


def centre_square(image: Image) -> Image:
    """Return the largest central square; an odd border is one pixel wider at the right or bottom.

    Example:
        >>> import numpy as np
        >>> centre_square(np.zeros((4, 7, 3), np.uint8)).shape
        (4, 4, 3)
    """
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return image[top : top + side, left : left + side]


def to_tensor(image: npt.NDArray[np.floating[Any]]) -> Tensor:
    """Convert (height, width, 3) to a contiguous float32 tensor (3, height, width)."""
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1), np.float32))


IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Mean and standard deviation of ImageNet's channels in [0, 1], the input scaling of torchvision's models."""


def standardise(image: Image, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """Scale uint8 to [0, 1], subtract the mean and divide by the standard deviation of each channel.

    Returns:
        float32 (3, height, width).
    """
    means: Float = np.array(mean, np.float32)
    deviations: Float = np.array(std, np.float32)
    return to_tensor((image.astype(np.float32) / np.float32(255) - means) / deviations)
