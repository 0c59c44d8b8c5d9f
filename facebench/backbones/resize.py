"""Resize methods of published implementations.

Bilinear and bicubic resizes differ between libraries, and the resize is part of a metric. Every function reproduces
one published behaviour and takes one uint8 RGB image (height, width, 3).
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage
from scipy import sparse

from facebench.backbones.base import Image

if TYPE_CHECKING:
    from torch import Tensor

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
    Parmar et al. 2022, "On aliased resizing and surprising subtleties in GAN evaluation". The filter is separable: a
    sparse matrix for the rows and one for the columns. The result differs from Pillow's by less than 1e-6 of the range.

    Returns:
        float32 (size, size, 3), 0 to 255.
    """
    columns, rows = _bicubic_matrix(image.shape[1], size), _bicubic_matrix(image.shape[0], size)
    planes = np.empty((3, size, size), np.float32)
    # OpenCV transposes five times as fast as NumPy copies, and one plane fits the cache of a core.
    for plane, resized in zip(cv2.split(image), planes, strict=True):
        narrow = cv2.transpose(columns @ cv2.transpose(plane).astype(np.float32))
        np.clip(rows @ narrow, 0, 255, out=resized)
    return planes.transpose(1, 2, 0)


@functools.lru_cache(maxsize=16)
def _bicubic_matrix(length: int, size: int) -> sparse.csr_array:
    """Matrix (size, length) of Pillow's bicubic filter: a = -0.5, widened by length / size when that exceeds 1.

    Source: Keys 1981, eq. 15; window and normalisation as documented for Pillow's `resize`.
    """
    step = length / size
    widening = max(step, 1.0)
    centres = (np.arange(size) + 0.5) * step
    first = np.maximum((centres - 2 * widening + 0.5).astype(np.int64), 0)
    last = np.minimum((centres + 2 * widening + 0.5).astype(np.int64), length)
    rows = np.repeat(np.arange(size), last - first)
    columns = np.arange(len(rows)) - np.repeat(np.cumsum(last - first) - last, last - first)
    weights = _keys_cubic((columns + 0.5 - centres[rows]) / widening)
    weights /= np.bincount(rows, weights, minlength=size)[rows]
    return sparse.csr_array((weights.astype(np.float32), (rows, columns)), shape=(size, length))


def _keys_cubic(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Cubic convolution kernel of Keys 1981 with a = -0.5; 0 beyond a distance of 2."""
    x = np.abs(x)
    near, far = (1.5 * x - 2.5) * x * x + 1, ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


def torch_bilinear(image: Image, size: int) -> Tensor:
    """Resize in [0, 1] with PyTorch: half-pixel centres, no antialiasing. pytorch-fid uses this resize.

    Returns:
        float32 (3, size, size), 0 to 1.
    """
    from torch.nn import functional

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
    import torch

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
