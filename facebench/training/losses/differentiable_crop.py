"""From a generated image to a recogniser's input, with gradients all the way.

Images are float tensors in [-1, 1] with the channels RGB. That is also the range recognisers read
((v / 255 - 0.5) / 0.5), so cropping never rescales; and the functions work on any other range as well.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from facebench.backbones.face_alignment import similarity
from facebench.core.errors import InputError

SIZE = 112
BLACK = -1.0


def box_crop(image: Tensor, box: Tensor | npt.ArrayLike, size: int = SIZE) -> Tensor:
    """Cut out a detector's box and stretch it to a square: the crop of the released ID-Booth training code.

    Corners are truncated to whole pixels and clipped to the image; the aspect ratio is not kept, nothing is
    aligned, and the bilinear resize does not smooth before shrinking. For comparison with published runs;
    `aligned_crop` shows a recogniser what it was trained on.

    Args:
        image: (3, height, width).
        box: x1, y1, x2, y2 in pixels.
        size: side of the crop.

    Returns:
        (1, 3, size, size); gradients flow to the image.

    Raises:
        InputError: nothing of the box lies inside the image.

    Example:
        >>> box_crop(torch.rand(3, 64, 64), [-3.2, 10.7, 40.0, 70.0]).shape
        torch.Size([1, 3, 112, 112])
    """
    height, width = image.shape[-2:]
    left, top, right, bottom = (int(value) for value in np.asarray(box, dtype=np.float64))
    left, top, right, bottom = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
    if left >= right or top >= bottom:
        raise InputError(f"The face box {np.asarray(box).tolist()} lies outside the {width}x{height} image.")
    cut = image[None, :, top:bottom, left:right]
    return functional.interpolate(cut, (size, size), mode="bilinear", align_corners=False, antialias=False)


def aligned_crop(images: Tensor, landmarks: npt.ArrayLike, size: int = SIZE) -> Tensor:
    """Warp faces to ArcFace's template by their five landmarks: what recognisers are trained on.

    The same similarity transform and interpolation as `facebench.backbones.face_alignment`, unrounded; black where an
    image ends. The landmarks count as given: no gradient flows to them.

    Args:
        images: (n, 3, height, width) in [-1, 1].
        landmarks: (n, 5, 2) points (x, y) in pixels, image-left first.
        size: side of the crop.

    Returns:
        (n, 3, size, size); gradients flow to the images.

    Raises:
        InputError: landmarks that no transform maps to a face.
    """
    points = np.asarray(landmarks, dtype=np.float64)
    grids = np.stack([_sampling_grid(similarity(face, size), size, images.shape[-2:]) for face in points])
    grid = torch.as_tensor(grids, dtype=images.dtype, device=images.device)
    # The sampler pads with zeros, so black has to be zero while it runs.
    return functional.grid_sample(images - BLACK, grid, mode="bilinear", align_corners=False) + BLACK


def _sampling_grid(
    matrix: npt.NDArray[np.float64], size: int, image_size: torch.Size | tuple[int, ...]
) -> npt.NDArray[np.float64]:
    """Where each pixel of the crop lies in the image, whose borders the sampler calls -1 and 1."""
    height, width = image_size
    inverse = np.linalg.inv(np.vstack([matrix, [0.0, 0.0, 1.0]]))[:2]
    y, x = np.mgrid[:size, :size]
    source = np.stack([x, y, np.ones_like(x)], axis=-1) @ inverse.T
    return np.asarray((2 * source + 1) / [width, height] - 1, dtype=np.float64)
