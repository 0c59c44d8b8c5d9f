"""Image files of every kind that a folder may contain, valid and damaged."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow

Pixels = npt.NDArray[np.uint8]


def picture(height: int = 40, width: int = 56) -> Pixels:
    """A smooth coloured image without symmetry, uint8 (height, width, 3)."""
    y, x = np.mgrid[:height, :width] / [[[height]], [[width]]]
    return (255 * np.stack([x, y, (x * x + y) / 2], axis=2)).astype(np.uint8)


def encode(pixels: npt.NDArray[Any], kind: str, mode: str | None = None, **options: Any) -> bytes:
    """Encode pixels as a file of the given format with Pillow."""
    image = Pillow.fromarray(pixels)
    buffer = io.BytesIO()
    (image.convert(mode) if mode else image).save(buffer, kind, **options)
    return buffer.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG file with a given size in its header and almost no data."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 100)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


def jpeg_promising(width: int, height: int) -> bytes:
    """A small JPEG file with a wrong size in its header."""
    data = bytearray(encode(picture(), "JPEG"))
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def without_adobe_marker(jpeg: bytes) -> bytes:
    """The same JPEG file without the Adobe marker segment."""
    start = jpeg.index(b"\xff\xee")
    length = int.from_bytes(jpeg[start + 2 : start + 4], "big")
    return jpeg[:start] + jpeg[start + 2 + length :]


def twelve_bit_tiff(values: npt.NDArray[np.uint16]) -> bytes:
    """A grey TIFF file of 12 bits a pixel; values (height, even width) from 0 to 4095."""
    data = bytearray(encode(values, "TIFF"))
    entry = data.index(struct.pack("<HHIH", 258, 3, 1, 16))
    data[entry + 8 : entry + 10] = struct.pack("<H", 12)
    offset_entry = data.index(struct.pack("<HHI", 273, 4, 1))
    (offset,) = struct.unpack_from("<I", data, offset_entry + 8)
    pairs = values.reshape(-1, 2).astype(int)
    packed = np.stack([pairs[:, 0] >> 4, (pairs[:, 0] & 15) << 4 | pairs[:, 1] >> 8, pairs[:, 1] & 255], 1)
    data[offset : offset + packed.size] = packed.astype(np.uint8).tobytes()
    return bytes(data)


def bad_files() -> dict[str, tuple[bytes, str]]:
    """Unusable files: name -> (bytes, expected reason)."""
    png, jpeg = encode(picture(), "PNG"), encode(picture(200, 300), "JPEG", quality=95)
    progressive = encode(picture(200, 300), "JPEG", quality=95, progressive=True)
    webp, tiff, bmp = (encode(picture(), kind) for kind in ("WEBP", "TIFF", "BMP"))
    return {
        "nothing.png": (b"", "empty"),
        "text.png": (b"Ceci n'est pas une image.\n" * 9, "not_an_image"),
        "page.jpg": (b"<!DOCTYPE html><html><body>404</body></html>", "not_an_image"),
        "zeros.bmp": (bytes(4096), "not_an_image"),
        "gif_inside.png": (encode(picture(), "GIF"), "unsupported"),
        "magic_only.png": (png[:8], "truncated"),
        "header_only.jpg": (jpeg[:200], "truncated"),
        "half.png": (png[: len(png) // 2], "truncated"),
        "half.jpg": (jpeg[: len(jpeg) // 2], "truncated"),
        "half_progressive.jpg": (progressive[: len(progressive) // 2], "truncated"),
        "half.webp": (webp[: len(webp) // 2], "truncated"),
        "half.tiff": (tiff[: len(tiff) // 2], "truncated"),
        "half.bmp": (bmp[: len(bmp) // 2], "truncated"),
        "half.ppm": (b"P6 40 40 255\n" + bytes(2400), "truncated"),
        "flipped_bits.png": (png[:60] + bytes(b ^ 255 for b in png[60:90]) + png[90:], "truncated"),
        "one_pixel.png": (encode(picture()[:1, :1], "PNG"), "too_small"),
        "strip.png": (encode(picture(300, 15), "PNG"), "too_small"),
        "bomb.png": (png_header(60_000, 60_000), "too_large"),
        "small_bomb.png": (png_header(10_001, 10_000), "too_large"),
        "bomb.jpg": (jpeg_promising(65_000, 65_000), "too_large"),
        "bomb.pgm": (b"P5 30000 30000 255\n", "too_large"),
        "float.tiff": (encode(picture()[:, :, 0].astype(np.float32), "TIFF"), "unsupported"),
    }
