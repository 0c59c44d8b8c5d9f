"""PNG files: detection of damage that Pillow does not report, and removal of metadata."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

_SIGNATURE_LENGTH = 8
_OVERHEAD = 12
"""Bytes of a chunk besides its data: length, type and checksum."""
_NEEDED = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"eXIf", b"acTL", b"fcTL", b"fdAT"})
_METADATA = frozenset(
    {
        b"tEXt", b"zTXt", b"iTXt", b"eXIf", b"iCCP", b"gAMA", b"cHRM", b"sRGB", b"cICP", b"pHYs", b"tIME", b"bKGD",
        b"hIST", b"sBIT", b"sPLT", b"caBX",
    }
)  # fmt: skip
"""Chunks that do not affect the pixels, so that their checksums do not matter."""
_ORIENTATION_KEYWORDS = (b"XML:com.adobe.xmp\0", b"Raw profile type exif\0")
_MAX_ORIENTATION_BYTES = 2**20
"""Pillow rejects larger text chunks."""


def find_damage(data: bytes) -> str | None:
    """Return a description of the damage of a PNG file whose pixels Pillow may decode; None if none is found.

    Pillow does not compare the checksums of compressed pixels, so changed bytes would change pixels.
    """
    for kind, start, end in _chunks(data):
        if kind in _METADATA:
            continue
        if end > len(data):
            return f"the chunk {_text(kind)} is cut short"
        if zlib.crc32(memoryview(data)[start + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            return f"the checksum of the chunk {_text(kind)} is wrong"
    return None


def without_metadata(data: bytes) -> bytes:
    """Return a PNG file without texts and colour profiles; the text chunks that hold an orientation stay.

    Pillow rejects files with long texts or profiles, which do not affect the pixels. A file with a damaged structure
    is returned unchanged.
    """
    spans = []
    for kind, start, end in _chunks(data):
        if end > len(data):
            return data
        if _is_needed(kind, data, start + 8, end - start - _OVERHEAD):
            spans.append((start, end))
    if sum(end - begin for begin, end in spans) == len(data) - _SIGNATURE_LENGTH:
        return data
    return b"".join([data[:_SIGNATURE_LENGTH], *(data[begin:end] for begin, end in spans)])


def _text(kind: bytes) -> str:
    return kind.decode("ascii", "backslashreplace")


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield type, start and end of the chunks up to IEND; the end of the last one may lie beyond the data."""
    start = _SIGNATURE_LENGTH
    while start + _OVERHEAD <= len(data):
        length, kind = struct.unpack_from(">I4s", data, start)
        end = start + _OVERHEAD + length
        yield kind, start, end
        if kind == b"IEND":
            return
        start = end


def _is_needed(kind: bytes, data: bytes, start: int, length: int) -> bool:
    if kind in _NEEDED:
        return True
    holds_orientation = data.startswith(_ORIENTATION_KEYWORDS, start)
    return holds_orientation and length <= _MAX_ORIENTATION_BYTES
