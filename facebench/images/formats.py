"""Image formats, recognised by content. The suffix of a file name is never used."""

from __future__ import annotations

import importlib

from PIL import (
    BmpImagePlugin,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

SNIFF_BYTES = 4096
"""Number of leading bytes that `format_of` needs."""

Plugin = type[ImageFile.ImageFile]

_PLUGINS: dict[str, Plugin] = {
    "PNG": PngImagePlugin.PngImageFile,
    "JPEG": JpegImagePlugin.JpegImageFile,
    "WebP": WebPImagePlugin.WebPImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "PNM": PpmImagePlugin.PpmImageFile,
}
_SIGNATURES: dict[bytes, str] = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cJXL \r\n\x87\n": "JPEG XL",
    b"\0\0\0\x0cjP  \r\n\x87\n": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"8BPS": "PSD",
    b"<svg": "SVG",
}
_HEIC_BRANDS = frozenset(
    {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
)
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_MAX_BRANDS = 64


def format_of(data: bytes) -> str | None:
    """Return the format of an image file, including formats that are not supported; None if it is not an image.

    Args:
        data: the file, or at least its first `SNIFF_BYTES` bytes.

    Example:
        >>> format_of(b"GIF89a...")
        'GIF'
    """
    for signature, name in _SIGNATURES.items():
        if data.startswith(signature):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WebP"
    if len(data) > 2 and data[:1] == b"P" and data[1:2] in b"123456" and data[2:3] in b" \t\r\n#":
        return "PNM"
    if data[4:8] == b"ftyp":
        return _iso_media_format(data)
    if data.startswith(b"<?xml") and b"<svg" in data[:SNIFF_BYTES]:
        return "SVG"
    return None


def plugin_of(name: str) -> Plugin | None:
    """Return the decoder of Pillow for a format; None if it is not supported or not installed."""
    if name == "HEIC":
        return _heic_plugin()
    if name == "AVIF":
        return _avif_plugin()
    return _PLUGINS.get(name)


def how_to_read(name: str) -> str:
    """Return advice for a format without a decoder.

    Example:
        >>> how_to_read("GIF")
        'format GIF: convert it to PNG'
    """
    package = {"HEIC": "pillow-heif", "AVIF": "pillow-avif-plugin"}.get(name)
    if package is None:
        return f"format {name}: convert it to PNG"
    return f"format {name}: install {package} (`pip install {package}`) or convert it to PNG"


def _iso_media_format(data: bytes) -> str | None:
    """Return HEIC or AVIF by the brands of the first box; None for videos."""
    end = min(int.from_bytes(data[:4], "big"), 16 + 4 * _MAX_BRANDS, len(data))
    brands = {data[8:12], *(data[start : start + 4] for start in range(16, end - 3, 4))}
    if brands & _AVIF_BRANDS:
        return "AVIF"
    return "HEIC" if brands & _HEIC_BRANDS else None


def _heic_plugin() -> Plugin | None:
    return _imported("pillow_heif", "HeifImageFile")


def _avif_plugin() -> Plugin | None:
    try:
        supported = importlib.import_module("PIL.AvifImagePlugin").SUPPORTED  # Pillow 11.3 or later
    except ImportError:
        supported = False
    return _imported("PIL.AvifImagePlugin" if supported else "pillow_avif.AvifImagePlugin", "AvifImageFile")


def _imported(module: str, name: str) -> Plugin | None:
    """Return a class of an optional package; None if it is not installed."""
    try:
        plugin: Plugin = getattr(importlib.import_module(module), name)
    except ImportError:
        return None
    return plugin
