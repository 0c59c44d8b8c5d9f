"""Conversion of decoded images to 8-bit RGB, in blocks of rows that bound the memory of intermediate arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow
from PIL import ImageFile, PngImagePlugin, TiffImagePlugin

from facebench.images.errors import ImageError

Image = npt.NDArray[np.uint8]
"""(height, width, 3) RGB."""

WHITE = 255
"""Background of transparent pixels."""
BLOCK_PIXELS = 2**20
"""Pixels that are converted at a time."""

_TIFF_BITS_PER_SAMPLE = 258
_EXIF_ORIENTATION = 0x0112

Convert = Callable[[Pillow.Image], npt.NDArray[Any]]


def to_rgb(opened: ImageFile.ImageFile, name: str) -> Image:
    """Convert a loaded image to RGB.

    Raises:
        ImageError: the value range of the pixels is undefined.
    """
    convert = _converter(opened, name)
    width, height = opened.size
    rows = max(1, BLOCK_PIXELS // width)
    if rows >= height:
        return np.array(convert(opened), np.uint8)
    pixels = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        pixels[top:bottom] = convert(opened.crop((0, top, width, bottom)))
    return pixels


def orientation_of(opened: ImageFile.ImageFile) -> int:
    """Return the orientation (1 to 8) from EXIF, or from XMP if EXIF has none; 1 if it is missing or invalid.

    Pillow rotates TIFF images itself.
    """
    try:
        return int(opened.getexif().get(_EXIF_ORIENTATION, 1))
    except Exception:  # a damaged EXIF block does not affect the pixels
        return 1


def upright(pixels: Image, orientation: int) -> Image:
    """Undo the rotation and reflection of an orientation (EXIF 2.3, tag 0x0112)."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def _converter(opened: ImageFile.ImageFile, name: str) -> Convert:
    """Return the function that converts a block of rows to RGB."""
    mode = opened.mode
    if mode.startswith("I;16") or (mode == "I" and opened.format == "PPM"):
        return _deep_grey_converter(opened)
    if mode == "CMYK":
        # Pillow inverts every CMYK JPEG, but only those with the marker of Adobe are stored inverted.
        inverted = opened.format == "JPEG" and "adobe" not in opened.info
        return lambda block: _cmyk_to_rgb(np.asarray(block), inverted)
    if mode in ("I", "F", "LAB", "HSV"):
        raise ImageError("unsupported", f"the range of {mode} pixels is undefined; save as 8-bit RGB", name)
    if opened.has_transparency_data:
        _scale_transparent_colour(opened)
        return lambda block: _over_white(np.asarray(block.convert("RGBA")))
    if mode == "RGB":
        return np.asarray
    return lambda block: np.asarray(block.convert("RGB"))


def _deep_grey_converter(opened: ImageFile.ImageFile) -> Convert:
    """Return the converter for grey images of more than 8 bits, which keeps the upper 8 bits."""
    shift = _grey_bits(opened) - 8
    transparent = opened.info.get("transparency")

    def convert(block: Pillow.Image) -> Image:
        values = np.asarray(block)
        grey = (values >> shift).astype(np.uint8)
        if isinstance(transparent, int):
            grey[values == transparent] = WHITE
        return np.repeat(grey[:, :, None], 3, axis=2)

    return convert


def _grey_bits(opened: ImageFile.ImageFile) -> int:
    """Return the bits per pixel of a deep grey image: Pillow scales PNG and PGM to 16, but not 12-bit TIFF."""
    if isinstance(opened, TiffImagePlugin.TiffImageFile):
        return int(opened.tag_v2.get(_TIFF_BITS_PER_SAMPLE, (16,))[0])
    return 16


def _scale_transparent_colour(opened: ImageFile.ImageFile) -> None:
    """Scale the transparent colour of a 16-bit RGB PNG to the 8 bits of its pixels."""
    colour = opened.info.get("transparency")
    is_rgb_png = isinstance(opened, PngImagePlugin.PngImageFile) and opened.mode == "RGB"
    if is_rgb_png and isinstance(colour, tuple) and max(colour) > 255:
        opened.info["transparency"] = tuple(value >> 8 for value in colour)


def _cmyk_to_rgb(inks: Image, inverted: bool) -> Image:
    """Convert inks without a colour profile: R = (1 - C)(1 - K), rounded to nearest."""
    light = inks if inverted else 255 - inks
    product = light[:, :, :3].astype(np.uint16) * light[:, :, 3:]
    return ((product + 127) // 255).astype(np.uint8)


def _over_white(rgba: Image) -> Image:
    """Composite straight alpha over white, rounded to nearest."""
    alpha = rgba[:, :, 3:].astype(np.uint16)
    mixed = rgba[:, :, :3] * alpha + WHITE * (255 - alpha)
    return ((mixed + 127) // 255).astype(np.uint8)
