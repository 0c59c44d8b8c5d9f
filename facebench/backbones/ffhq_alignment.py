"""FFHQ alignment: a rotated, scaled crop with eyes and mouth at the positions of the FFHQ dataset.

FFHQ uses the means of twelve eye landmarks and of two mouth corners from a 68-point detector. This module uses the
eyes and mouth corners of the five-point detector, which moves the crop by a few pixels at a side of 1024.

Papers: Karras et al. 2019, "A style-based generator architecture for generative adversarial networks", appendix C;
oriented crop rectangle after Karras et al. 2018, "Progressive growing of GANs", appendix C.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

Images = npt.NDArray[np.uint8]


def oriented_square(landmarks: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Compute the corners of FFHQ's crop.

    Args:
        landmarks: (5, 2) eyes, nose, mouth corners; image-left first.

    Returns:
        (4, 2) points (x, y) in pixels: top left, bottom left, bottom right, top right.

    Example:
        >>> face = [[40, 40], [60, 40], [50, 52], [42, 64], [58, 64]]
        >>> oriented_square(face).round().tolist()
        [[7.0, -1.0], [7.0, 86.0], [93.0, 86.0], [93.0, -1.0]]
    """
    points = np.asarray(landmarks, np.float64)
    eyes, mouth = points[:2].mean(axis=0), points[3:].mean(axis=0)
    eye_to_eye, eye_to_mouth = points[1] - points[0], mouth - eyes
    across = eye_to_eye - np.array([-eye_to_mouth[1], eye_to_mouth[0]])
    across /= np.hypot(*across)
    across *= max(np.hypot(*eye_to_eye) * 2.0, np.hypot(*eye_to_mouth) * 1.8)
    along = np.array([-across[1], across[0]])
    centre = eyes + eye_to_mouth * 0.1
    left, right = centre - across, centre + across
    return np.stack([left - along, left + along, right + along, right - along])


def misalignment(landmarks: npt.ArrayLike, height: int, width: int) -> float:
    """Return how far an image is from FFHQ's crop of its face; 0 for an aligned image.

    It is the mean distance of the corners of FFHQ's crop from those of the central square, over the side of the
    square.

    Args:
        landmarks: (5, 2) eyes, nose, mouth corners; image-left first.
        height: of the image.
        width: of the image.

    Example:
        >>> face = [[40, 40], [60, 40], [50, 52], [42, 64], [58, 64]]
        >>> round(misalignment(face, 200, 200), 2)
        0.48
    """
    side = min(height, width)
    top, left = (height - side) / 2, (width - side) / 2
    square = np.array([[left, top], [left, top + side], [left + side, top + side], [left + side, top]])
    return float(np.hypot(*(oriented_square(landmarks) - square).T).mean() / side)


def align_ffhq(image: Images, landmarks: npt.ArrayLike, size: int) -> Images:
    """Return FFHQ's crop of a photograph.

    Pixels outside the photograph are reflected, as in FFHQ, but without FFHQ's blur.

    Args:
        image: uint8 (height, width, 3).
        landmarks: (5, 2) eyes, nose, mouth corners; image-left first.
        size: side of the crop.

    Returns:
        uint8 (size, size, 3).
    """
    corners = oriented_square(landmarks)
    image, corners = _downscale(image, corners, size)
    height, width = image.shape[:2]
    low, high = corners.min(axis=0), corners.max(axis=0)
    pad = int(np.ceil(max(0.0, -low.min(), high[0] - width, high[1] - height))) + 1
    pad_y, pad_x = min(pad, height - 1), min(pad, width - 1)
    padded = np.pad(image, ((pad_y, pad_y), (pad_x, pad_x), (0, 0)), mode="reflect")
    quad = (corners + [pad_x, pad_y] + 0.5).ravel().tolist()
    cropped = Image.fromarray(padded).transform(
        (size * 4, size * 4), Image.Transform.QUAD, quad, Image.Resampling.BILINEAR
    )
    return np.asarray(cropped.resize((size, size), Image.Resampling.LANCZOS))


def _downscale(
    image: Images, corners: npt.NDArray[np.float64], size: int
) -> tuple[Images, npt.NDArray[np.float64]]:
    """Shrink an image whose crop is more than twice the wanted size, with a Lanczos filter."""
    factor = int(np.floor(np.hypot(*(corners[2] - corners[1])) / size * 0.5))
    if factor <= 1:
        return image, corners
    height, width = image.shape[:2]
    smaller = Image.fromarray(image).resize(
        (max(1, width // factor), max(1, height // factor)), Image.Resampling.LANCZOS
    )
    scale = np.array([smaller.width / width, smaller.height / height])
    return np.asarray(smaller), corners * scale
