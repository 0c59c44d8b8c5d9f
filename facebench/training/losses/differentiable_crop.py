"""Differentiable crops of generated images for recognisers.

Images are RGB float tensors in [-1, 1]. Recognisers use the same range ((v / 255 - 0.5) / 0.5), so crops need no
rescaling.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from facebench.backbones.crops import FACE224, deca_square
from facebench.backbones.face_alignment import similarity
from facebench.core.errors import InputError

SIZE = 112
BLACK = -1.0


def box_crop(image: Tensor, box: Tensor | npt.ArrayLike, size: int = SIZE) -> Tensor:
    """Crop a detector's box and resize it to a square, as the released ID-Booth training code does.

    Corners are truncated to integers and clipped to the image. The crop ignores the aspect ratio, is not aligned, and
    is resized bilinearly without antialiasing. Use it to compare with published runs; `aligned_crop` gives the input
    that recognisers are trained on.

    Args:
        image: (3, height, width).
        box: x1, y1, x2, y2 in pixels.
        size: side of the crop.

    Returns:
        (1, 3, size, size), with gradients for the image.

    Raises:
        InputError: the box lies outside the image.

    Example:
        >>> box_crop(torch.rand(3, 64, 64), [-3.2, 10.7, 40.0, 70.0]).shape
        torch.Size([1, 3, 112, 112])
    """
    height, width = image.shape[-2:]
    left, top, right, bottom = (int(value) for value in np.asarray(box, dtype=np.float64))
    left, top, right, bottom = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
    if left >= right or top >= bottom:
        raise InputError(f"The face box {np.asarray(box).tolist()} lies outside the {width}x{height} image.")
    crop = image[None, :, top:bottom, left:right]
    return functional.interpolate(crop, (size, size), mode="bilinear", align_corners=False, antialias=False)


def aligned_crop(images: Tensor, landmarks: npt.ArrayLike, size: int = SIZE) -> Tensor:
    """Align faces to ArcFace's template by their five landmarks.

    Transform and interpolation are those of `facebench.backbones.face_alignment`, without rounding. Pixels outside the
    image are black. Landmarks receive no gradient.

    Args:
        images: (n, 3, height, width) in [-1, 1].
        landmarks: (n, 5, 2) points (x, y) in pixels, left eye in the image first.
        size: side of the crop.

    Returns:
        (n, 3, size, size), with gradients for the images.

    Raises:
        InputError: no similarity transform fits the landmarks.
    """
    points = np.asarray(landmarks, dtype=np.float64)
    grids = np.stack([_sampling_grid(similarity(face, size), size, images.shape[-2:]) for face in points])
    grid = torch.as_tensor(grids, dtype=images.dtype, device=images.device)
    # grid_sample pads with zeros, so black must be zero here.
    return functional.grid_sample(images - BLACK, grid, mode="bilinear", align_corners=False) + BLACK


def deca_crop(images: Tensor, boxes: npt.NDArray[np.floating]) -> Tensor:
    """Crop DECA's square around a fixed box of each face.

    Square and sampling positions are those of `facebench.backbones.crops.face224`, without rounding. Pixels outside
    the image are black. Boxes receive no gradient.

    Args:
        images: (n, 3, height, width) in [-1, 1].
        boxes: (n, 4) x, y, width and height in pixels.

    Returns:
        (n, 3, 224, 224) in [0, 1], with gradients for the images.

    Example:
        >>> deca_crop(torch.ones(1, 3, 64, 64), np.array([[16, 16, 32, 32]])).shape
        torch.Size([1, 3, 224, 224])
    """
    squares = [deca_square((box[0], box[1], box[2], box[3])) for box in boxes]
    steps = np.arange(FACE224) / (FACE224 - 1)
    x = np.stack([square.left + steps * square.side for square in squares])
    y = np.stack([square.top + steps * square.side for square in squares])
    source = np.stack(np.broadcast_arrays(x[:, None, :], y[:, :, None]), axis=-1)
    grid = torch.as_tensor(_normalised(source, images.shape[-2:]), dtype=images.dtype, device=images.device)
    # grid_sample pads with zeros, which are black in [0, 1].
    return functional.grid_sample((images - BLACK) / 2, grid, mode="bilinear", align_corners=False)


def _sampling_grid(
    matrix: npt.NDArray[np.float64], size: int, image_size: torch.Size | tuple[int, ...]
) -> npt.NDArray[np.float64]:
    """Compute the image position of each pixel of the crop, in coordinates from -1 to 1."""
    inverse = np.linalg.inv(np.vstack([matrix, [0.0, 0.0, 1.0]]))[:2]
    y, x = np.mgrid[:size, :size]
    source = np.stack([x, y, np.ones_like(x)], axis=-1) @ inverse.T
    return _normalised(source, image_size)


def _normalised(
    source: npt.NDArray[np.float64], image_size: torch.Size | tuple[int, ...]
) -> npt.NDArray[np.float64]:
    """Convert positions (x, y) in pixels to coordinates from -1 to 1."""
    height, width = image_size
    return np.asarray((2 * source + 1) / [width, height] - 1, dtype=np.float64)
