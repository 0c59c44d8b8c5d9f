"""Geometry of face crops: five-point alignment, and the crop of every kind of network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import numpy as np
import numpy.typing as npt

from facebench.backbones.base import Crop
from facebench.backbones.crops import face150, face224, face256
from facebench.core.errors import InputError
from facebench.core.suggest import suggest
from facebench.images.decoding import Image

# Eyes, nose tip and mouth corners in ArcFace's 112x112 crop, image-left first (insightface, face_align.py).
TEMPLATE = np.array(
    [
        [38.2946, 51.6963],
        [73.5318, 51.5014],
        [56.0252, 71.7366],
        [41.5493, 92.3655],
        [70.7299, 92.2041],
    ],
    dtype=np.float64,
)


@dataclass(frozen=True, eq=False)
class Face:
    """One detected face, in pixels of its image; pixel centres have integer coordinates."""

    box: tuple[float, float, float, float]
    """x and y of the upper left corner, width, height; may exceed the image."""
    landmarks: npt.NDArray[np.float32]
    """(5, 2): eyes, nose tip, mouth corners; image-left first, the order of ArcFace's template."""
    score: float
    """Confidence of the detector, 0 to 1."""


def similarity(landmarks: npt.ArrayLike, size: int = 112) -> npt.NDArray[np.float64]:
    """Compute the similarity transform that maps five landmarks to ArcFace's template.

    Least squares over uniform scale, rotation and translation (Umeyama 1991). With points as complex numbers
    this is the linear regression dst = a src + b.

    Args:
        landmarks: (5, 2) points (x, y): eyes, nose tip, mouth corners, image-left first.
        size: side of the crop. Multiples of 112 scale the template. Multiples of 128 scale it and shift it
            right by 8/128 of the side, as insightface does.

    Returns:
        (2, 3) float64, from image to crop.

    Raises:
        InputError: the landmarks are not five finite points, they coincide, or the size has no template.

    Example:
        >>> similarity(2 * TEMPLATE + 5).round(6)
        array([[ 0.5, -0. , -2.5],
               [ 0. ,  0.5, -2.5]])
    """
    points = np.asarray(landmarks, dtype=np.float64)
    if points.shape != (5, 2) or not np.isfinite(points).all():
        raise InputError(f"Alignment needs five finite points (x, y), not an array of shape {points.shape}.")
    source = points[:, 0] + 1j * points[:, 1]
    template = _template(size)
    target = template[:, 0] + 1j * template[:, 1]
    centred = source - source.mean()
    if not centred.any():
        raise InputError("The five landmarks coincide, so no transform maps them to a face.")
    a = np.vdot(centred, target - target.mean()) / np.vdot(centred, centred)
    b = target.mean() - a * source.mean()
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])


def align(image: Image, landmarks: npt.ArrayLike, size: int = 112) -> Image:
    """Return the aligned face crop, uint8 (size, size, 3); bilinear, black outside the image.

    Args:
        image: uint8 (height, width, 3).
        landmarks: see `similarity`.
        size: side of the crop, see `similarity`.

    Raises:
        InputError: see `similarity`.
    """
    return _to_uint8(warp(image, similarity(landmarks, size), size))


def crop(kind: Crop, image: Image, face: Face | None) -> Image:
    """Return the crop that a backbone reads; pixels outside the image are black.

    - "image": the whole image, unchanged.
    - "face112": five-point alignment to ArcFace's template.
    - "face150": upright square of face-api's recogniser around eyes and mouth (`facebench.backbones.crops.face150`).
    - "face224": DECA's square around the box (`facebench.backbones.crops.face224`).
    - "face256": EmoNet's square around the box (`facebench.backbones.crops.face256`).

    Args:
        kind: see above.
        image: uint8 (height, width, 3), RGB.
        face: the face; None is valid for "image" only.

    Returns:
        uint8 (side, side, 3), or the image itself.

    Raises:
        InputError: the kind is unknown, or the face is missing.
    """
    if kind == "image":
        return image
    if kind not in get_args(Crop):
        raise InputError(f"'{kind}' is not a crop. {suggest(kind, get_args(Crop))}")
    if face is None:
        raise InputError(f"The crop '{kind}' needs a face.")
    if kind == "face112":
        return align(image, face.landmarks)
    if kind == "face150":
        return face150(image, face.landmarks)
    if kind == "face224":
        return face224(image, face.box)
    return face256(image, face.box)


def warp(
    image: npt.NDArray[np.generic], matrix: npt.NDArray[np.float64], size: int
) -> npt.NDArray[np.float64]:
    """Apply an affine transform with exact bilinear interpolation; 0 outside the image.

    This equals OpenCV's warpAffine up to rounding. OpenCV 4 rounds its coefficients to 1/32 pixel.

    Args:
        image: (height, width, channels).
        matrix: (2, 3), from image to crop.
        size: side of the crop.

    Returns:
        float64 (size, size, channels).
    """
    inverse = np.linalg.inv(np.vstack([matrix, [0.0, 0.0, 1.0]]))
    grid_y, grid_x = np.mgrid[:size, :size]
    x = inverse[0, 0] * grid_x + inverse[0, 1] * grid_y + inverse[0, 2]
    y = inverse[1, 0] * grid_x + inverse[1, 1] * grid_y + inverse[1, 2]
    height, width = image.shape[:2]
    left, top = np.floor(x), np.floor(y)
    out = np.zeros((size, size, image.shape[2]))
    for dy, weight_y in ((0, top + 1 - y), (1, y - top)):
        for dx, weight_x in ((0, left + 1 - x), (1, x - left)):
            column, row = left + dx, top + dy
            inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
            weight = np.where(inside, weight_x * weight_y, 0.0)
            rows = np.clip(row, 0, height - 1).astype(np.intp)
            columns = np.clip(column, 0, width - 1).astype(np.intp)
            out += weight[:, :, None] * image[rows, columns]
    return out


def _template(size: int) -> npt.NDArray[np.float64]:
    if size > 0 and size % 112 == 0:
        return TEMPLATE * (size / 112)
    if size > 0 and size % 128 == 0:
        return TEMPLATE * (size / 128) + [8.0 * size / 128, 0.0]
    raise InputError(f"An aligned crop of side {size} has no template. Use a multiple of 112 or of 128.")


def _to_uint8(pixels: npt.NDArray[np.float64]) -> Image:
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
