"""Conversion of tensors to images, and of images to a grid."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


def to_images(x: Tensor) -> NDArray[np.uint8]:
    """Convert images (n, 3, h, w) in [-1, 1] to (n, h, w, 3) uint8; other values are clipped.

    Example:
        >>> import torch
        >>> to_images(torch.tensor([-2.0, 0.0, 1.0]).view(1, 3, 1, 1)).ravel().tolist()
        [0, 128, 255]
    """
    scaled = (x.detach().float().cpu() + 1) * 127.5
    return scaled.round().clamp(0, 255).byte().permute(0, 2, 3, 1).contiguous().numpy()


def grid(images: NDArray[np.uint8], columns: int, gap: int = 2) -> NDArray[np.uint8]:
    """Arrange images (n, h, w, 3) in rows of `columns`, separated by white gaps.

    Example:
        >>> grid(np.zeros((3, 4, 4, 3), np.uint8), columns=2).shape
        (10, 10, 3)
    """
    count, height, width = images.shape[:3]
    rows = -(-count // columns)
    sheet = np.full(
        (rows * (height + gap) - gap, min(columns, count) * (width + gap) - gap, 3), 255, np.uint8
    )
    for i, image in enumerate(images):
        top, left = (i // columns) * (height + gap), (i % columns) * (width + gap)
        sheet[top : top + height, left : left + width] = image
    return sheet
