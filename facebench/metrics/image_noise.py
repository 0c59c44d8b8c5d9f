"""Sharpness, noise and compression of one grey image.

sharpness = var(Δ I),   Δ I(x, y) = I(x-1, y) + I(x+1, y) + I(x, y-1) + I(x, y+1) - 4 I(x, y)
noise     = median |HH| / 0.6745,   HH = (a - b - c + d) / 2 in every block [[a, b], [c, d]]
quality   = lowest JPEG quality whose quantisation steps divide the DCT coefficients of the 8 × 8 blocks
"""

from __future__ import annotations

import numpy as np

from facebench.core.errors import InputError
from facebench.metrics.arrays import Array, Floats

MOST_BLOCKS = 2048
"""Blocks of an image from which its JPEG quality is estimated; of more blocks, an even selection is used."""
FEWEST = 10
"""Coefficients above half a step that a quality needs."""
_MAD = 0.6745
"""Median of the absolute value of a standard normal variable."""


def laplacian_variance(image: Array) -> float:
    """Variance of the Laplacian of a grey image, in squared grey levels; higher is sharper.

    It depends on resolution and crop, and noise raises it. Equal to `cv2.Laplacian(image, cv2.CV_64F).var()`.

    Args:
        image: (height, width) grey levels, at least 2 × 2. Borders are mirrored without repeating the edge.

    Raises:
        InputError: not one grey image, too small, NaN or infinity.

    Source:
        Pech-Pacheco et al. 2000, "Diatom autofocusing in brightfield microscopy", method VL.

    Example:
        >>> laplacian_variance(np.full((8, 8), 100))
        0.0
    """
    grey = _grey(image, 2)
    padded = np.pad(grey, 1, mode="reflect")
    around = padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]
    return float((around - 4.0 * grey).var())


def haar_noise(image: Array) -> float:
    """Noise of a grey image from its finest diagonal Haar wavelets, in grey levels; lower is cleaner.

    An estimate of the standard deviation of white noise. Flat areas with more than half of the pixels give 0; fine
    texture raises it. Odd sizes repeat their last row or column.

    Args:
        image: (height, width) grey levels, at least 2 × 2.

    Raises:
        InputError: not one grey image, too small, NaN or infinity.

    Source:
        Donoho and Johnstone 1994, "Ideal spatial adaptation by wavelet shrinkage", section 4.

    Example:
        >>> noise = np.random.default_rng(0).normal(128, 5, (256, 256))
        >>> round(haar_noise(noise))
        5
    """
    grey = _grey(image, 2)
    grey = np.pad(grey, [(0, side % 2) for side in grey.shape], mode="edge")
    diagonal = (grey[::2, ::2] - grey[::2, 1::2] - grey[1::2, ::2] + grey[1::2, 1::2]) / 2
    return float(np.median(np.abs(diagonal)) / _MAD)


def jpeg_quality(image: Array, *, support: float = 0.5) -> int:
    """Estimate the JPEG quality of the last compression of a grey image, from 1 to 100; higher is less compressed.

    A decoded JPEG has DCT coefficients at multiples of the quantisation steps. The estimate is the lowest quality whose
    steps fit, with the standard luminance table. 100 means that no compression was found. The 8 × 8 grid must start at
    the first pixel, so the image must not be cropped or resized after the compression.

    Args:
        image: (height, width) luminance in 0 ... 255, at least 16 × 16.
        support: mean cos(2π c / q) that a quality needs; 1 for exact multiples of the step q, about 0 by chance.

    Raises:
        InputError: not one grey image, too small, NaN or infinity.

    Source:
        Fan and de Queiroz 2003, "Identification of bitmap compression history", section III; tables: ITU-T T.81,
        annex K.1, scaled as libjpeg does.

    Example:
        >>> jpeg_quality(np.random.default_rng(0).integers(0, 256, (64, 64)))
        100
    """
    coefficients = _block_dct(_grey(image, 16))
    coefficients = coefficients[:: max(1, len(coefficients) // MOST_BLOCKS)]
    for quality in range(1, 100):
        if _fits(coefficients, quality, support):
            # Steps of neighbouring qualities differ little: the best of them is taken.
            return max(
                range(quality, min(quality + 6, 100)), key=lambda each: _phase(coefficients, each).mean()
            )
    return 100


def _fits(coefficients: Floats, quality: int, support: float) -> bool:
    """Whether the steps of a quality divide the coefficients, beyond four standard errors of chance."""
    phase = _phase(coefficients, quality)
    return len(phase) >= FEWEST and float(phase.mean()) >= max(support, 4 / np.sqrt(2 * len(phase)))


def _phase(coefficients: Floats, quality: int) -> Floats:
    """Cosine of the phase of the coefficients within the steps of a quality: 1 for multiples."""
    steps = quantisation_steps(quality)
    informative = (steps >= 3) & (np.abs(coefficients) >= steps / 2)
    informative[:, 0, 0] = False
    phase = np.cos(2 * np.pi * (coefficients / steps)[informative])
    return np.asarray(phase if len(phase) else np.full(1, -1.0))


def quantisation_steps(quality: int) -> Floats:
    """Return the luminance steps of libjpeg for a quality from 1 to 100, (8, 8)."""
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return np.asarray(np.clip((_LUMINANCE * scale + 50) // 100, 1, 255), dtype=np.float64)


def _block_dct(grey: Floats) -> Floats:
    """Return the DCT coefficients of all whole 8 × 8 blocks, (blocks, 8, 8)."""
    rows, columns = (side // 8 for side in grey.shape)
    blocks = grey[: 8 * rows, : 8 * columns].reshape(rows, 8, columns, 8).swapaxes(1, 2).reshape(-1, 8, 8)
    frequency, place = np.arange(8)[:, None], np.arange(8)
    basis = np.cos(np.pi * (2 * place + 1) * frequency / 16) / 2
    basis[0] /= np.sqrt(2)
    return np.asarray(basis @ (blocks - 128.0) @ basis.T)


def _grey(image: Array, smallest: int) -> Floats:
    array = np.asarray(image)
    if array.ndim != 2 or array.dtype.kind not in "fiu":
        raise InputError(
            f"image: expected one grey image (height, width), got {array.shape} of {array.dtype}."
        )
    if min(array.shape) < smallest:
        raise InputError(
            f"image: {array.shape[1]}×{array.shape[0]} pixels, at least {smallest}×{smallest} are needed."
        )
    grey = array.astype(np.float64)
    if not np.isfinite(grey).all():
        raise InputError("image: holds NaN or infinity.")
    return grey


_LUMINANCE = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
)
