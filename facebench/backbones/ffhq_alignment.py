"""FFHQ's alignment: rotate, scale and cut a photograph so that eyes and mouth come to where FFHQ has them.

FFHQ averages twelve eye landmarks and two mouth corners of a 68-point detector; here the eyes and mouth corners of
the five-point detector take their place, which moves the crop by a few pixels at 1024.

Source: Karras et al. 2019, "A style-based generator architecture for generative adversarial networks", appendix C
(the oriented crop rectangle after Karras et al. 2018, appendix C).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

Images = npt.NDArray[np.uint8]


def oriented_square(landmarks: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Corners of FFHQ's crop: top left, bottom left, bottom right, top right, (4, 2) as (x, y) pixels.

    Args:
        landmarks: (5, 2) eyes, nose, mouth corners; image-left first.

    Example:
        >>> face = [[40, 40], [60, 40], [50, 52], [42, 64], [58, 64]]
        >>> oriented_square(face).round().tolist()
        [[7.0, -1.0], [7.0, 86.0], [93.0, 86.0], [93.0, -1.0]]
    """
    points = np.asarray(landmarks, np.float64)
    eyes, mouth = points[:2].mean(axis=0), points[3:].mean(axis=0)
    between, down = points[1] - points[0], mouth - eyes
    across = between - np.array([-down[1], down[0]])
    across /= np.hypot(*across)
    across *= max(np.hypot(*between) * 2.0, np.hypot(*down) * 1.8)
    along = np.array([-across[1], across[0]])
    centre = eyes + down * 0.1
    left, right = centre - across, centre + across
    return np.stack([left - along, left + along, right + along, right - along])


def align_ffhq(image: Images, landmarks: npt.ArrayLike, size: int) -> Images:
    """Cut out FFHQ's crop of a photograph.

    What lies outside the photograph is its mirror image, as in FFHQ, without FFHQ's blur.

    Args:
        image: (height, width, 3) uint8.
        landmarks: (5, 2) eyes, nose, mouth corners; image-left first.
        size: side of the result.

    Returns:
        (size, size, 3) uint8.
    """
    corners = oriented_square(landmarks)
    image, corners = _shrunk(image, corners, size)
    height, width = image.shape[:2]
    low, high = corners.min(axis=0), corners.max(axis=0)
    pad = int(np.ceil(max(0.0, -low.min(), high[0] - width, high[1] - height))) + 1
    pad_y, pad_x = min(pad, height - 1), min(pad, width - 1)
    padded = np.pad(image, ((pad_y, pad_y), (pad_x, pad_x), (0, 0)), mode="reflect")
    quad = (corners + [pad_x, pad_y] + 0.5).ravel().tolist()
    made = Image.fromarray(padded).transform(
        (size * 4, size * 4), Image.Transform.QUAD, quad, Image.Resampling.BILINEAR
    )
    return np.asarray(made.resize((size, size), Image.Resampling.LANCZOS))


def _shrunk(
    image: Images, corners: npt.NDArray[np.float64], size: int
) -> tuple[Images, npt.NDArray[np.float64]]:
    """Halve photographs that are much larger than wanted, with a filter, before they are sampled."""
    by = int(np.floor(np.hypot(*(corners[2] - corners[1])) / size * 0.5))
    if by <= 1:
        return image, corners
    height, width = image.shape[:2]
    smaller = Image.fromarray(image).resize(
        (max(1, width // by), max(1, height // by)), Image.Resampling.LANCZOS
    )
    scale = np.array([smaller.width / width, smaller.height / height])
    return np.asarray(smaller), corners * scale
