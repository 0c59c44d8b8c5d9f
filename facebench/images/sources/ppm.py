"""Pixels as a PPM file, so that arrays and image files share decoding, digests and features."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]


def ppm_file(pixels: Pixels) -> bytes:
    r"""Return the pixels (h, w, 3) as a PPM file, identical to the file that Pillow writes.

    Example:
        >>> ppm_file(np.zeros((1, 2, 3), np.uint8))
        b'P6\n2 1\n255\n\x00\x00\x00\x00\x00\x00'
    """
    return header(pixels.shape[0], pixels.shape[1]) + pixels.tobytes()


def header(height: int, width: int) -> bytes:
    """Return the header of a PPM file."""
    return b"P6\n%d %d\n255\n" % (width, height)
