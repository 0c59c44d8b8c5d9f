"""Decode image files to RGB pixels under one policy, or state why a file cannot be used.

docs/images.md documents the policy:

- The content determines the format (PNG, JPEG, WebP, BMP, TIFF, PBM/PGM/PPM; HEIC and AVIF with a plugin).
- EXIF and XMP orientation is applied. Colour profiles are not.
- Grey and bilevel images get three equal channels; palettes are resolved.
- Transparency is composited over white.
- CMYK is converted as R = (1 - C)(1 - K); JPEG files with the marker of Adobe store inverted CMYK.
- Of 16-bit images the upper 8 bits are used, in grey and in colour (65535 becomes 255).
- Of several frames or pages the first is used.
- A damaged file is rejected; missing pixels are never filled in.
- Memory is bounded by `BYTES_PER_PIXEL` per pixel, and all threads together by half of the machine's memory.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import NamedTuple

from PIL import Image as Pillow
from PIL import ImageFile

from facebench.images import jpeg, png
from facebench.images.errors import ImageError, Reason
from facebench.images.formats import format_of, how_to_read, plugin_of
from facebench.images.memory import BUDGET, BYTES_PER_PIXEL
from facebench.images.pixels import WHITE, Image, orientation_of, to_rgb, upright


@dataclass(frozen=True)
class Limits:
    """Limits that are checked before decoding."""

    max_bytes: int = 512 * 2**20
    max_pixels: int = 100_000_000
    min_side: int = 16


DEFAULT_LIMITS = Limits()


class Decoded(NamedTuple):
    """Pixels and notes for the reader of the results."""

    image: Image
    notes: tuple[str, ...]
    """For example "first of 12 frames"."""


class _Stored(NamedTuple):
    """Pixels as stored in the file."""

    pixels: Image
    orientation: int
    frames: int


def decode(data: bytes, name: str = "image", limits: Limits = DEFAULT_LIMITS) -> Image:
    """Decode an image file to RGB pixels.

    Args:
        data: content of the file.
        name: name of the file for error messages.
        limits: files outside these limits are rejected before decoding.

    Returns:
        uint8 array (height, width, 3), RGB, in the orientation in which viewers show the image.

    Raises:
        ImageError: with the reason empty, not_an_image, unsupported, truncated, too_large or too_small.

    Example:
        >>> decode(b"P5 16 16 255 " + bytes(range(256))).shape
        (16, 16, 3)
        >>> decode(b"<html>", "a.png")
        Traceback (most recent call last):
        facebench.images.errors.ImageError: a.png: not_an_image (begins with b'<html>')
    """
    return decode_with_notes(data, name, limits).image


def decode_with_notes(data: bytes, name: str = "image", limits: Limits = DEFAULT_LIMITS) -> Decoded:
    """Decode like `decode`, and note ignored content such as further frames."""
    kind = _check_content(data, name, limits)
    original = data
    if kind == "PNG":
        data = png.without_metadata(data)
    opened = open_header(data, name)
    size = _check_size(opened, name, limits)
    if kind == "PNG" and (damage := png.find_damage(original)) is not None:
        raise ImageError("truncated", f"cut short or damaged: {damage}", name)
    with BUDGET.reserve(size, name):
        stored = _load(opened, name)
        del opened  # releases the memory of Pillow
        if kind == "JPEG":
            damage = jpeg.find_damage(
                data, stored.pixels, lambda changed: _load(open_header(changed), name).pixels
            )
            if damage is not None:
                raise ImageError("truncated", f"cut short or damaged: {damage}", name)
        pixels = upright(stored.pixels, stored.orientation)
    notes = (f"first of {stored.frames} frames",) if stored.frames > 1 else ()
    return Decoded(pixels, notes)


def _check_content(data: bytes, name: str, limits: Limits) -> str:
    """Return the format of a file that can be decoded."""
    if not data:
        raise ImageError("empty", "the file has no bytes", name)
    if len(data) > limits.max_bytes:
        raise ImageError("too_large", f"{len(data)} bytes; at most {limits.max_bytes}", name)
    kind = format_of(data)
    if kind is None:
        raise ImageError("not_an_image", f"begins with {data[:12]!r}", name)
    if plugin_of(kind) is None:
        raise ImageError("unsupported", how_to_read(kind), name)
    return kind


def open_header(data: bytes, name: str = "image") -> ImageFile.ImageFile:
    """Read the header of an image file; the pixels are decoded when they are used.

    Plugins are called directly: `PIL.Image.open` warns about large images before their size can be checked, and
    warning filters are not thread-safe.

    Raises:
        ImageError: the format is unknown or has no plugin, or the header is damaged.
    """
    plugin = plugin_of(format_of(data) or "")
    if plugin is None:
        raise ImageError("not_an_image", f"begins with {data[:12]!r}", name)
    try:
        return plugin(io.BytesIO(data))
    except Pillow.DecompressionBombError as error:
        raise ImageError("too_large", _one_line(error), name) from error
    except MemoryError:
        raise ImageError("too_large", "the image does not fit in memory", name) from None
    except Exception as error:  # Pillow raises many types of errors on damaged files
        raise ImageError("truncated", f"damaged header: {_one_line(error)}", name) from error


def _check_size(opened: ImageFile.ImageFile, name: str, limits: Limits) -> tuple[int, int]:
    """Return the size (width, height) of an image within the limits."""
    width, height = opened.size
    if width * height > limits.max_pixels:
        raise ImageError("too_large", f"{width}x{height} pixels; at most {limits.max_pixels}", name)
    if min(width, height) < limits.min_side:
        raise ImageError("too_small", f"{width}x{height} pixels; each side needs {limits.min_side}", name)
    return width, height


def _load(opened: ImageFile.ImageFile, name: str) -> _Stored:
    """Decode the pixels."""
    try:
        frames = int(getattr(opened, "n_frames", 1))
        # Other libraries may set this global to fill missing rows with grey.
        ImageFile.LOAD_TRUNCATED_IMAGES = False
        opened.load()
        return _Stored(to_rgb(opened, name), orientation_of(opened), frames)
    except ImageError:
        raise
    except MemoryError:
        raise ImageError("too_large", "the pixels do not fit in memory", name) from None
    except Exception as error:  # Pillow raises many types of errors on damaged files
        raise ImageError("truncated", f"cut short or damaged: {_one_line(error)}", name) from error


def _one_line(error: BaseException) -> str:
    return " ".join(f"{error}".split())[:200] or type(error).__name__


__all__ = [
    "BYTES_PER_PIXEL",
    "DEFAULT_LIMITS",
    "WHITE",
    "Decoded",
    "Image",
    "ImageError",
    "Limits",
    "Reason",
    "decode",
    "decode_with_notes",
]
