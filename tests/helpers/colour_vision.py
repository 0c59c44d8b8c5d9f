"""Colours as people with a colour vision deficiency see them (Machado et al. 2009), and their distance in Oklab."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

VISION = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
"""Matrices of linear RGB for a full deficiency."""
_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_OKLAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722])


def linear(colour: str) -> NDArray[np.float64]:
    """Linear RGB of `#rrggbb` or `#rgb`."""
    digits = colour.removeprefix("#")
    digits = "".join(2 * digit for digit in digits) if len(digits) == 3 else digits
    values = np.array([int(digits[place : place + 2], 16) for place in (0, 2, 4)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def seen_distance(first: str, second: str, vision: str) -> float:
    """Distance of two colours in Oklab; black and white have 1."""
    places = [
        _OKLAB @ np.cbrt(_CONES @ np.clip(VISION[vision] @ linear(each), 0, 1)) for each in (first, second)
    ]
    return float(np.linalg.norm(places[0] - places[1]))


def contrast(first: str, second: str) -> float:
    """Contrast ratio of WCAG 2: 1 to 21."""
    low, high = sorted(float(_LUMINANCE @ linear(each)) for each in (first, second))
    return (high + 0.05) / (low + 0.05)
