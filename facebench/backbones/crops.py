"""Upright square face crops: those of DECA, EmoNet and face-api.

All scale and translate, sample bilinearly without antialiasing, and are black outside the image. Those of DECA and
EmoNet are computed exactly here, because OpenCV before version 5 rounds its sampling positions.

A box is (x, y, width, height) in pixels, as in `facebench.backbones.face_alignment.Face`.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage

from facebench.backbones.base import Image

Float = npt.NDArray[np.float64]
Box = tuple[float, float, float, float]
FACE150 = 150
FACE224 = 224
FACE256 = 256


@dataclass(frozen=True)
class Square:
    """A square in an image: left edge, top edge and side in pixels, not rounded."""

    left: float
    top: float
    side: float


def deca_square(box: Box) -> Square:
    """Compute DECA's square around a detector's box.

    The side is 1.25 times the mean side of the box, truncated to whole pixels as in the authors' code. The centre
    is 0.12 mean sides below that of the box.

    Example:
        >>> deca_square((10, 20, 100, 100))
        Square(left=-2.5, top=19.5, side=125)
    """
    x, y, width, height = (float(value) for value in box)
    mean = (width + height) / 2
    return _centred(x + width / 2, y + height / 2 + 0.12 * mean, int(1.25 * mean))


def deca_square_of_landmarks(landmarks: npt.NDArray[np.floating]) -> Square:
    """Compute DECA's square around 68 landmarks (68, 2): 1.25 · 1.1 times the mean side of their box."""
    (left, top), (right, bottom) = _bounds(landmarks)
    mean = (right - left + bottom - top) / 2 * 1.1
    return _centred((left + right) / 2, (top + bottom) / 2, int(1.25 * mean))


def emonet_square(box: Box) -> Square:
    """Compute EmoNet's square: side (width + height) / 1.1, with the centre of the box.

    The authors use the box of 68 landmarks, from brows to chin. A detector's box is taller, so its square is
    larger. Results are comparable only for boxes of the same origin.

    Example:
        >>> emonet_square((0, 0, 110, 110))
        Square(left=-45.0, top=-45.0, side=200.0)
    """
    x, y, width, height = (float(value) for value in box)
    return _centred(x + width / 2, y + height / 2, 200 * (width + height) / 220)


def faceapi_square(landmarks: npt.NDArray[np.floating]) -> Square:
    """Compute the square of face-api's recogniser around five landmarks (5, 2).

    The side is the distance between the mean of the eyes and the mean of the mouth corners, divided by 0.45. The
    mean of these four points lies at (0.5, 0.43) of the square.

    Example:
        >>> faceapi_square(np.array([[40, 50], [60, 50], [50, 70], [40, 95], [60, 95.0]]))
        Square(left=0.0, top=29.5, side=100.0)
    """
    points = np.asarray(landmarks, np.float64)
    eyes, mouth = points[:2].mean(axis=0), points[3:].mean(axis=0)
    side = float(np.linalg.norm(mouth - eyes)) / 0.45
    x, y = (eyes + mouth) / 2
    return Square(float(x) - 0.5 * side, float(y) - 0.43 * side, side)


def deca_crop(image: Image, square: Square) -> npt.NDArray[np.float32]:
    """Return DECA's input; crop pixel i samples image coordinate left + i · side / 223.

    Returns:
        float32 (224, 224, 3) in [0, 1].
    """
    sampled = _sample(image, square, FACE224, square.side / (FACE224 - 1))
    return (sampled / 255).astype(np.float32)


def emonet_crop(image: Image, square: Square) -> Image:
    """Return EmoNet's input; crop pixel i samples image coordinate left + i · side / 256.

    Returns:
        uint8 (256, 256, 3).
    """
    return _as_uint8(_sample(image, square, FACE256, square.side / FACE256))


def face224(image: Image, box: Box) -> Image:
    """Return DECA's crop around a detector's box, rounded to uint8 (224, 224, 3)."""
    return _as_uint8(deca_crop(image, deca_square(box)) * 255.0)


def face256(image: Image, box: Box) -> Image:
    """Return EmoNet's crop around a detector's box, uint8 (256, 256, 3)."""
    return emonet_crop(image, emonet_square(box))


def face150(image: Image, landmarks: npt.NDArray[np.floating]) -> Image:
    """Return the crop of face-api's recogniser, uint8 (150, 150, 3).

    Pillow's affine transform on uint8: bilinear with pixel centres at half-integer positions, without
    antialiasing, black outside the image.
    """
    square = faceapi_square(landmarks)
    step = square.side / FACE150
    sampled = PillowImage.fromarray(np.ascontiguousarray(image)).transform(
        (FACE150, FACE150),
        PillowImage.Transform.AFFINE,
        (step, 0, square.left, 0, step, square.top),
        PillowImage.Resampling.BILINEAR,
    )
    return np.asarray(sampled, np.uint8)


def stretched(image: Image, size: int) -> Image:
    """Resize to a square with OpenCV's bilinear filter on uint8, without antialiasing or fixed aspect ratio.

    EmoNet and the ONNX engine of EmotiEffLib use this resize.
    """
    resized = cv2.resize(np.ascontiguousarray(image), (size, size), interpolation=cv2.INTER_LINEAR)
    return np.asarray(resized, np.uint8)


def _centred(x: float, y: float, side: float) -> Square:
    return Square(x - side / 2, y - side / 2, side)


def _bounds(points: npt.NDArray[np.floating]) -> tuple[Float, Float]:
    points = np.asarray(points, np.float64)
    return points.min(axis=0), points.max(axis=0)


def _sample(image: Image, square: Square, size: int, step: float) -> Float:
    """Sample a grid from the corner of the square, bilinearly; pixels outside the image are black."""
    steps = np.arange(size, dtype=np.float64) * step
    rows = _interpolate(image.astype(np.float64), square.top + steps)
    return _interpolate(rows.transpose(1, 0, 2), square.left + steps).transpose(1, 0, 2)


def _interpolate(values: Float, positions: Float) -> Float:
    """Interpolate linearly along the first axis; entries outside are zero."""
    before = np.floor(positions).astype(np.int64)
    weight = (positions - before)[:, None, None]
    return _entries(values, before) * (1 - weight) + _entries(values, before + 1) * weight


def _entries(values: Float, index: npt.NDArray[np.int64]) -> Float:
    inside = (index >= 0) & (index < len(values))
    return np.asarray(values[index.clip(0, len(values) - 1)] * inside[:, None, None])


def _as_uint8(values: npt.NDArray[np.floating]) -> Image:
    return np.asarray(np.rint(values).clip(0, 255), np.uint8)
