"""The resizes of the literature: the same image and size, five different answers.

A resize is part of the metric that reads it. Every function here is one published behaviour and takes one
uint8 RGB image (height, width, 3); "bilinear" alone names nothing.
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
    """Resize as TensorFlow 1 does: corner-aligned grid, no half-pixel centres, no antialias, no rounding.

    Output pixel i reads source coordinate i · in/out; the neighbour beyond the last pixel is the last pixel.
    When an image shrinks, most of its pixels are never read. Equal, bit for bit on the CPU, to the
    interpolation that torch-fidelity offers for parity with the original FID graph.

    Returns:
        float32 (size, size, 3), 0 to 255.

    Example:
        >>> import numpy as np
        >>> stripes = np.array([[[0] * 3, [100] * 3], [[0] * 3, [100] * 3]], np.uint8)
        >>> tf1_bilinear(stripes, 4)[0, :, 0]
        array([  0.,  50., 100., 100.], dtype=float32)
    """
    top, bottom, down = _tf1_grid(image.shape[0], size)
    left, right, across = _tf1_grid(image.shape[1], size)
    if max(image.shape[0], image.shape[1]) > 2 * size:  # most rows are never read: take only those that are
        upper, lower = (
            _across(image[rows].astype(np.float32), left, right, across) for rows in (top, bottom)
        )
    else:  # most rows are read twice: interpolate each of them once
        rows = _across(image.astype(np.float32), left, right, across)
        upper, lower = rows.take(top, 0), rows.take(bottom, 0)
    lower -= upper
    lower *= down[:, None, None]
    lower += upper
    return lower


def _across(rows: Float, left: npt.NDArray[np.int64], right: npt.NDArray[np.int64], weight: Float) -> Float:
    """Interpolate along rows."""
    start, wide = rows.take(left, 1), rows.take(right, 1)
    wide -= start
    wide *= weight[:, None]
    wide += start
    return wide


def _tf1_grid(length: int, size: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Float]:
    """For each output index: the pixel before its source coordinate, the one after it, the way in between."""
    # The coordinate itself is float32 in TensorFlow; in float64 it would fall on other pixels now and then.
    coordinate = np.arange(size, dtype=np.float32) * np.float32(length / size)
    before = coordinate.astype(np.int64)
    after = np.minimum(before + 1, length - 1)
    return before, after, coordinate - before.astype(np.float32)


def pil_bicubic_float(image: Image, size: int) -> Float:
    """Resize each channel as a float image with Pillow's bicubic filter, without rounding back to uint8.

    Pillow widens its filter when an image shrinks (antialias). The overshoot of the filter is clipped to 0
    and 255. This is the mode "clean" of Parmar et al. 2022, "On Aliased Resizing and Surprising Subtleties in
    GAN Evaluation".

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
    """Resize the image in [0, 1] as PyTorch does: half-pixel centres, no antialias, as pytorch-fid does.

    Returns:
        float32 (3, size, size), 0 to 1.
    """
    unit = to_tensor(image.astype(np.float32) / np.float32(255))[None]
    return functional.interpolate(unit, size=(size, size), mode="bilinear", align_corners=False)[0]


def pil_bicubic(image: Image, size: int) -> Image:
    """Squeeze into a square with Pillow's bicubic filter on uint8 (antialiased when shrinking).

    An image of that size already comes back unchanged.
    """
    resized = PillowImage.fromarray(image).resize((size, size), PillowImage.Resampling.BICUBIC)
    return np.asarray(resized)


def centre_square(image: Image) -> Image:
    """Cut the largest central square; where the border cannot be shared evenly, the far side loses one more.

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
    """Turn (height, width, 3) into a contiguous float32 tensor (3, height, width)."""
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1), np.float32))


IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Mean and standard deviation of ImageNet's channels in [0, 1], as torchvision's models expect them."""


def standardise(image: Image, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """Scale uint8 to [0, 1], take off the mean and divide by the standard deviation of each channel.

    Returns:
        float32 (3, height, width).
    """
    middle: Float = np.array(mean, np.float32)
    spread: Float = np.array(std, np.float32)
    return to_tensor((image.astype(np.float32) / np.float32(255) - middle) / spread)
