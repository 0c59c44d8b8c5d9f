"""Removal of metadata from PNG files, so that its size does not prevent decoding."""

from __future__ import annotations

import struct

_SIGNATURE_LENGTH = 8
_OVERHEAD = 12
"""Bytes of a chunk besides its data: length, type and checksum."""
_NEEDED = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"eXIf", b"acTL", b"fcTL", b"fdAT"})
_ORIENTATION_KEYWORDS = (b"XML:com.adobe.xmp\0", b"Raw profile type exif\0")
_MAX_ORIENTATION_BYTES = 2**20
"""Pillow rejects larger text chunks."""


def without_metadata(data: bytes) -> bytes:
    """Return a PNG file without texts and colour profiles; the text chunks that hold an orientation stay.

    Pillow rejects files with long texts or profiles, which do not affect the pixels. A file with a damaged structure
    is returned unchanged.
    """
    spans = []
    start = _SIGNATURE_LENGTH
    while start + _OVERHEAD <= len(data):
        length, kind = struct.unpack_from(">I4s", data, start)
        end = start + _OVERHEAD + length
        if end > len(data):
            return data
        if _is_needed(kind, data, start + 8, length):
            spans.append((start, end))
        start = end
        if kind == b"IEND":
            break
    if sum(end - begin for begin, end in spans) == len(data) - _SIGNATURE_LENGTH:
        return data
    return b"".join([data[:_SIGNATURE_LENGTH], *(data[begin:end] for begin, end in spans)])


def _is_needed(kind: bytes, data: bytes, start: int, length: int) -> bool:
    if kind in _NEEDED:
        return True
    holds_orientation = data.startswith(_ORIENTATION_KEYWORDS, start)
    return holds_orientation and length <= _MAX_ORIENTATION_BYTES
