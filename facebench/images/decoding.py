"""The single decoding policy: the bytes of an image file become RGB pixels, or a reason why not.

What happens to each kind of file is stated in docs/images.md; the short form:

- The content decides the format (PNG, JPEG, WebP, BMP, TIFF, PBM/PGM/PPM), never the suffix.
- EXIF orientation is applied. Colour profiles are not.
- Grey and bilevel become three equal channels; a palette is looked up.
- Transparency is composited over white.
- CMYK becomes (1 - C)(1 - K) and so on; JPEG files with Adobe's marker hold inverted CMYK.
- 16 bits keep their upper 8, grey and colour alike (65535 becomes 255: scaled, not clipped).
- Of several frames or pages the first is read.
- A damaged file is refused; missing pixels are never made up.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import (
    BmpImagePlugin,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)
from PIL import Image as Pillow

from facebench.core.errors import FacebenchError

Image = npt.NDArray[np.uint8]
Reason = Literal[
    "truncated",
    "empty",
    "not_an_image",
    "unsupported",
    "too_large",
    "too_small",
    "unreadable",
    "missing",
    "outside",
    "duplicate",
    "other_file",
    "no_face",
    "not_finite",
]
"""Why a file is not used. docs/images.md says what each means."""

WHITE = 255
"""What lies behind transparent pixels."""

_EXIF_ORIENTATION = 0x0112
_TIFF_BITS = 258


class ImageError(FacebenchError):
    """One image file cannot be used: `reason` is a fixed code, `detail` a sentence."""

    def __init__(self, reason: Reason, detail: str, name: str = "image") -> None:
        super().__init__(f"{name}: {reason} ({detail})")
        self.reason: Reason = reason
        self.detail = detail


@dataclass(frozen=True)
class Limits:
    """What is refused before any pixel is decoded."""

    max_bytes: int = 512 * 2**20
    max_pixels: int = 100_000_000
    min_side: int = 16


DEFAULT = Limits()


class Decoded(NamedTuple):
    """Pixels, and what a reader of the numbers should know about them."""

    image: Image
    notes: tuple[str, ...]
    """For example "first of 12 frames"."""


def decode(data: bytes, name: str = "image", limits: Limits = DEFAULT) -> Image:
    """Turn the bytes of an image file into RGB pixels.

    Args:
        data: the whole file.
        name: how messages call it.
        limits: sizes outside them are refused before decoding.

    Returns:
        uint8 array (height, width, 3), RGB, in the orientation a viewer shows.

    Raises:
        ImageError: with the reason empty, not_an_image, unsupported, truncated, too_large or too_small.

    Example:
        >>> decode(b"P5 16 16 255 " + bytes(range(256))).shape
        (16, 16, 3)
        >>> decode(b"<html>", "a.png")
        Traceback (most recent call last):
        facebench.images.decoding.ImageError: a.png: not_an_image (begins with b'<html>')
    """
    return decode_with_notes(data, name, limits).image


def decode_with_notes(data: bytes, name: str = "image", limits: Limits = DEFAULT) -> Decoded:
    """Like `decode`, and say what was left out of the picture."""
    opened = _open(data, name, limits)
    try:
        frames = int(getattr(opened, "n_frames", 1))
        # Another library in this process may have asked Pillow to fill missing rows with grey.
        ImageFile.LOAD_TRUNCATED_IMAGES = False
        opened.load()
        orientation = _orientation(opened)
        pixels = _rgb(opened, name)
    except ImageError:
        raise
    except MemoryError:
        raise ImageError("too_large", "the pixels do not fit in memory", name) from None
    except Exception as error:  # Pillow lets errors of every kind through on damaged files
        raise ImageError("truncated", f"cut short or damaged: {_one_line(error)}", name) from error
    notes = (f"first of {frames} frames",) if frames > 1 else ()
    return Decoded(_upright(pixels, orientation), notes)


def _open(data: bytes, name: str, limits: Limits) -> ImageFile.ImageFile:
    """Read the header alone, and check the size that it promises.

    The plugins are called directly: Pillow's own `open` warns about large images before anyone can ask
    for their size, and a warning filter is not safe between threads.
    """
    if not data:
        raise ImageError("empty", "the file has no bytes", name)
    if len(data) > limits.max_bytes:
        raise ImageError("too_large", f"{len(data)} bytes; at most {limits.max_bytes}", name)
    plugin = _plugin(data)
    if plugin is None:
        raise ImageError("not_an_image", f"begins with {data[:12]!r}", name)
    try:
        opened = plugin(io.BytesIO(data))
    except Pillow.DecompressionBombError as error:
        raise ImageError("too_large", _one_line(error), name) from error
    except Exception as error:  # as above: the magic number is right, the rest is not
        raise ImageError("truncated", f"damaged header: {_one_line(error)}", name) from error
    width, height = opened.size
    if width * height > limits.max_pixels:
        raise ImageError("too_large", f"{width}x{height} pixels; at most {limits.max_pixels}", name)
    if min(width, height) < limits.min_side:
        raise ImageError("too_small", f"{width}x{height} pixels; each side needs {limits.min_side}", name)
    return opened


def _plugin(data: bytes) -> type[ImageFile.ImageFile] | None:
    """Pillow's reader for the magic number that the data begins with."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return PngImagePlugin.PngImageFile
    if data.startswith(b"\xff\xd8\xff"):
        return JpegImagePlugin.JpegImageFile
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return WebPImagePlugin.WebPImageFile
    if data.startswith(b"BM"):
        return BmpImagePlugin.BmpImageFile
    if data.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return TiffImagePlugin.TiffImageFile
    if len(data) > 2 and data[:1] == b"P" and data[1:2] in b"123456" and data[2:3] in b" \t\r\n#":
        return PpmImagePlugin.PpmImageFile
    return None


def _rgb(opened: ImageFile.ImageFile, name: str) -> Image:
    mode = opened.mode
    if mode.startswith("I;16") or (mode == "I" and opened.format == "PPM"):
        grey = (np.asarray(opened).astype(np.int64) >> (_grey_bits(opened) - 8)).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if mode == "CMYK":
        return _from_cmyk(opened)
    if mode in ("I", "F", "LAB", "HSV"):
        raise ImageError("unsupported", f"{mode} pixels have no agreed range; save as 8-bit RGB", name)
    if opened.has_transparency_data:
        return _over_white(np.asarray(opened.convert("RGBA")))
    return np.array(opened.convert("RGB"))


def _grey_bits(opened: ImageFile.ImageFile) -> int:
    """Bits of a deep grey image: Pillow scales PNG and PGM to 16, but hands on 12-bit TIFF as it is."""
    if isinstance(opened, TiffImagePlugin.TiffImageFile):
        return int(opened.tag_v2.get(_TIFF_BITS, (16,))[0])
    return 16


def _from_cmyk(opened: ImageFile.ImageFile) -> Image:
    """Inks to light without a colour profile: R = (1 - C)(1 - K), rounded to nearest."""
    inks = np.asarray(opened).astype(np.int64)
    if opened.format == "JPEG" and "adobe" not in opened.info:
        inks = 255 - inks  # Pillow inverts every CMYK JPEG, but only Adobe's are stored inverted
    light = (255 - inks[:, :, :3]) * (255 - inks[:, :, 3:])
    return ((light + 127) // 255).astype(np.uint8)


def _over_white(rgba: Image) -> Image:
    """Straight alpha over white, rounded to nearest."""
    alpha = rgba[:, :, 3:].astype(np.int64)
    mixed = rgba[:, :, :3] * alpha + WHITE * (255 - alpha)
    return ((mixed + 127) // 255).astype(np.uint8)


def _orientation(opened: ImageFile.ImageFile) -> int:
    """EXIF orientation 1 to 8; 1 when there is none or its block is broken. Pillow turns TIFF by itself."""
    try:
        return int(opened.getexif().get(_EXIF_ORIENTATION, 1))
    except Exception:  # a broken EXIF block says nothing about the pixels
        return 1


def _upright(pixels: Image, orientation: int) -> Image:
    """Undo the camera's rotation (EXIF 2.3, tag 0x0112)."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def _one_line(error: BaseException) -> str:
    return " ".join(f"{error}".split())[:200] or type(error).__name__
