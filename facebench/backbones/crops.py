"""Square face crops of the literature that are not alignments: DECA's and EmoNet's.

Both are a scale and a shift, sampled bilinearly with black outside the image, without antialias. They are
computed here exactly, because libraries differ: OpenCV before version 5 rounds its sampling positions.

A box is (x, y, width, height) in pixels, as in `facebench.backbones.face_detection.Face`.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from facebench.backbones.base import Image

Float = npt.NDArray[np.float64]
Box = tuple[float, float, float, float]
FACE224 = 224
FACE256 = 256


@dataclass(frozen=True)
class Square:
    """A square in the image: left and top edge and side, in pixels, not rounded."""

    left: float
    top: float
    side: float


def deca_square(box: Box) -> Square:
    """DECA's square around a detector's box: 1.25 times the mean side, its centre lowered by 0.12 mean sides.

    The side is cut to whole pixels, as the authors' code does.

    Example:
        >>> deca_square((10, 20, 100, 100))
        Square(left=-2.5, top=19.5, side=125)
    """
    x, y, width, height = (float(value) for value in box)
    mean = (width + height) / 2
    return _about(x + width / 2, y + height / 2 + 0.12 * mean, int(1.25 * mean))


def deca_square_of_landmarks(landmarks: npt.NDArray[np.floating]) -> Square:
    """DECA's square around 68 landmarks (68, 2): 1.25 · 1.1 times the mean side of their box, same centre."""
    (left, top), (right, bottom) = _bounds(landmarks)
    mean = (right - left + bottom - top) / 2 * 1.1
    return _about((left + right) / 2, (top + bottom) / 2, int(1.25 * mean))


def emonet_square(box: Box) -> Square:
    """EmoNet's square: side (width + height) / 1.1 about the centre of the box.

    The authors take the box of 68 landmarks, brows to chin. A detector's box is taller, so its square is
    looser: compare numbers only where the box came from the same place.

    Example:
        >>> emonet_square((0, 0, 110, 110))
        Square(left=-45.0, top=-45.0, side=200.0)
    """
    x, y, width, height = (float(value) for value in box)
    return _about(x + width / 2, y + height / 2, 200 * (width + height) / 220)


def deca_crop(image: Image, square: Square) -> npt.NDArray[np.float32]:
    """Cut out DECA's input: crop pixel i reads image coordinate left + i · side / 223.

    Returns:
        float32 (224, 224, 3) in [0, 1].
    """
    sampled = _sampled(image, square, FACE224, square.side / (FACE224 - 1))
    return (sampled / 255).astype(np.float32)


def emonet_crop(image: Image, square: Square) -> Image:
    """Cut out EmoNet's input: crop pixel i reads image coordinate left + i · side / 256.

    Returns:
        uint8 (256, 256, 3).
    """
    return _as_uint8(_sampled(image, square, FACE256, square.side / FACE256))


def face224(image: Image, box: Box) -> Image:
    """DECA's crop around a detector's box, rounded to uint8 (224, 224, 3): at most half a grey level off."""
    return _as_uint8(deca_crop(image, deca_square(box)) * 255.0)


def face256(image: Image, box: Box) -> Image:
    """EmoNet's crop around a box, uint8 (256, 256, 3)."""
    return emonet_crop(image, emonet_square(box))


def stretched(image: Image, size: int) -> Image:
    """Resize to a square with OpenCV's bilinear filter on uint8: no antialias, aspect is not kept.

    This is the resize of EmoNet and of EmotiEffLib's ONNX engine.
    """
    resized = cv2.resize(np.ascontiguousarray(image), (size, size), interpolation=cv2.INTER_LINEAR)
    return np.asarray(resized, np.uint8)


def _about(x: float, y: float, side: float) -> Square:
    return Square(x - side / 2, y - side / 2, side)


def _bounds(points: npt.NDArray[np.floating]) -> tuple[Float, Float]:
    points = np.asarray(points, np.float64)
    return points.min(axis=0), points.max(axis=0)


def _sampled(image: Image, square: Square, size: int, step: float) -> Float:
    """Read a grid of pixels from the square's corner on, bilinearly; pixels outside count as black."""
    steps = np.arange(size, dtype=np.float64) * step
    rows = _along(image.astype(np.float64), square.top + steps)
    return _along(rows.transpose(1, 0, 2), square.left + steps).transpose(1, 0, 2)


def _along(values: Float, at: Float) -> Float:
    """Interpolate linearly along the first axis; entries before the first and after the last are zero."""
    before = np.floor(at).astype(np.int64)
    share = (at - before)[:, None, None]
    return _entries(values, before) * (1 - share) + _entries(values, before + 1) * share


def _entries(values: Float, index: npt.NDArray[np.int64]) -> Float:
    inside = (index >= 0) & (index < len(values))
    return np.asarray(values[index.clip(0, len(values) - 1)] * inside[:, None, None])


def _as_uint8(values: npt.NDArray[np.floating]) -> Image:
    return np.asarray(np.rint(values).clip(0, 255), np.uint8)
