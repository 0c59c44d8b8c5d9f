"""Skin tone of the pixels of a skin region: individual typology angle, hue and lightness.

    ITA = atan((L* - 50) / b*) · 180 / π      hue = atan2(b*, a*) · 180 / π

L*, a*, b* are CIELAB coordinates (D65) of sRGB pixels. Pixels whose L* lies outside the middle 80 % are left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from facebench.core.errors import InputError
from facebench.metrics.arrays import Array, Floats

CLASSES = ((55.0, "very light"), (41.0, "light"), (28.0, "intermediate"), (10.0, "tan"), (-30.0, "brown"))
"""Lower bounds of the ITA classes of Chardon et al. 1991; below the last one a tone is `dark`."""
TRIMMED = 0.1
"""Share of the darkest and of the lightest pixels that are left out."""
_TO_XYZ = np.array(
    [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
)
_WHITE = np.array([0.95047, 1.0, 1.08883])


@dataclass(frozen=True)
class SkinTone:
    """Mean tone of a skin region.

    Attributes:
        ita: individual typology angle in degrees, from -90 to 90; higher is lighter.
        hue: hue angle in degrees; lower is redder, higher is yellower.
        lightness: L* in 0 ... 100; the apparent light falls into it as well.
    """

    ita: float
    hue: float
    lightness: float


def skin_tone(pixels: Array) -> SkinTone:
    """Individual typology angle, hue and lightness of skin pixels.

    It measures the image: exposure and colour of the light move it as much as the skin does. It does not measure
    ethnicity.

    Args:
        pixels: (n, 3) sRGB pixels of a skin region, 0 ... 255.

    Raises:
        InputError: not (n, 3), empty, outside 0 ... 255, NaN.

    Source:
        Chardon et al. 1991, "Skin colour typology and suntanning pathways"; hue: Thong et al. 2023
        (arXiv:2309.05148).

    Example:
        >>> round(skin_tone(np.array([[224, 172, 105]])).ita, 3)
        29.802
    """
    lab = srgb_to_lab(pixels)
    low = np.quantile(lab[:, 0], TRIMMED, method="lower")
    high = np.quantile(lab[:, 0], 1.0 - TRIMMED, method="higher")
    lightness, a, b = lab[(lab[:, 0] >= low) & (lab[:, 0] <= high)].mean(axis=0)
    return SkinTone(
        ita=individual_typology_angle(lightness, b),
        hue=float(np.degrees(np.arctan2(b, a))),
        lightness=float(lightness),
    )


def individual_typology_angle(lightness: float, b: float) -> float:
    """Individual typology angle in degrees; ±90 for b* = 0, and 0 for L* = 50 with b* = 0.

    Example:
        >>> round(individual_typology_angle(73.78850755206221, 41.53371252031719), 9)
        29.802000781
    """
    if b == 0:
        return float(90 * np.sign(lightness - 50.0))
    return float(np.degrees(np.arctan((lightness - 50.0) / b)))


def tone_class(ita: float) -> str:
    """Return the class of an individual typology angle.

    Example:
        >>> tone_class(29.8), tone_class(-59.8)
        ('intermediate', 'dark')
    """
    return next((name for bound, name in CLASSES if ita > bound), "dark")


def srgb_to_lab(pixels: Array) -> Floats:
    """Convert sRGB pixels in 0 ... 255, (n, 3), to CIELAB under D65, (n, 3).

    Raises:
        InputError: not (n, 3), empty, outside 0 ... 255, NaN.
    """
    array = np.asarray(pixels)
    if array.ndim != 2 or array.shape[1] != 3 or len(array) == 0 or array.dtype.kind not in "fiu":
        raise InputError(f"pixels: expected (n, 3) sRGB numbers, got {array.shape} of {array.dtype}.")
    values = array.astype(np.float64) / 255.0
    if not ((values >= 0) & (values <= 1)).all():
        raise InputError("pixels: sRGB numbers must lie between 0 and 255.")
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    xyz = linear @ _TO_XYZ.T / _WHITE
    root = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = root.T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)
