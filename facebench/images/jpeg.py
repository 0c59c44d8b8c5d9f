"""Detection of damaged JPEG files that libjpeg decodes without an error.

libjpeg only warns when compressed data end early: it fills the missing blocks with neutral grey. Pillow discards the
warning. Here a file with signs of damage is decoded twice, the second time with bytes inserted at the end of each
compressed segment. A complete segment ignores them, while an incomplete one decodes them to different pixels.

A sequential file has two signs of damage: a neutral grey block at the end of a segment, and a long run of zero bytes.
Progressive files have no sign in the pixels and are always decoded twice.

The loss of less than one block at the end is not detected. Altered bytes are not detected if they are not zeros and do
not change the number of decoded blocks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]

_DHT, _SOI, _EOI, _SOS, _DRI = 0xC4, 0xD8, 0xD9, 0xDA, 0xDD
_RESTARTS = range(0xD0, 0xD8)
_STANDALONE = frozenset({0x01, _SOI, *_RESTARTS})
_FRAMES = frozenset({0xC0, 0xC1, 0xC2})
"""Frames with Huffman coding: baseline, extended sequential, progressive."""
_OTHER_FRAMES = frozenset({*range(0xC3, 0xD0)} - {_DHT, 0xC8, 0xCC})
_PROGRESSIVE = 0xC2

_END_OF_BLOCK = 0
_ZERO_RUN = bytes(64)
_PROBE = bytes((37 * i + 11) % 251 for i in range(64))
"""Bytes without 0xFF that decode to varying coefficients."""
_NEUTRAL, _NEUTRAL_TOLERANCE = 128, 2


@dataclass
class _Scan:
    """A scan: which coefficients it holds, and where its compressed data lie."""

    components: tuple[int, ...]
    first: int
    last: int
    low_bit: int
    """Lowest bit of the coefficients that the scan holds (successive approximation)."""
    start: int
    end: int = 0
    restarts: list[int] = field(default_factory=list)
    """Positions of the restart markers."""


@dataclass
class _Structure:
    """Frame header and scans of a JPEG file."""

    frame: int = 0
    width: int = 0
    height: int = 0
    sampling: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Horizontal and vertical sampling factors by component."""
    restart_interval: int = 0
    scans: list[_Scan] = field(default_factory=list)
    first_ac_symbols: set[int] = field(default_factory=set)
    """Symbols whose Huffman codes consist of zero bits, over all tables of AC coefficients."""
    closed: bool = False
    """Whether the end marker was found."""

    @property
    def unit(self) -> tuple[int, int]:
        """Width and height of a minimum coded unit (MCU) in pixels."""
        if len(self.sampling) == 1:
            return 8, 8
        return 8 * max(h for h, _ in self.sampling.values()), 8 * max(v for _, v in self.sampling.values())

    @property
    def grid(self) -> tuple[int, int]:
        """Columns and rows of MCUs."""
        width, height = self.unit
        return -(-self.width // width), -(-self.height // height)


def find_damage(data: bytes, pixels: Pixels, decode: Callable[[bytes], Pixels]) -> str | None:
    """Return a description of the damage of a JPEG file that Pillow has decoded; None if none is found.

    Args:
        data: the file.
        pixels: its pixels as stored, before any rotation.
        decode: decodes a modified file in the same way.
    """
    structure = _parse(data)
    if structure.frame not in _FRAMES or not structure.closed or not structure.scans:
        return None
    if structure.frame == _PROGRESSIVE and not _all_coefficients(structure):
        return "scans of the progressive image are missing"
    if _lacks_restarts(structure):
        return "restart intervals are missing"
    if _has_hole(data, structure):
        return "the compressed data contain a long run of zero bytes"
    if _may_be_incomplete(structure, pixels) and _changes(_with_probes(data, structure), pixels, decode):
        return "the compressed data end before the image is complete"
    return None


def _parse(data: bytes) -> _Structure:
    structure = _Structure()
    position = 2
    while (position := _next_marker(data, position)) >= 0:
        marker, position = data[position + 1], position + 2
        if marker in _STANDALONE:
            continue
        if marker == _EOI:
            structure.closed = True
            break
        length = int.from_bytes(data[position : position + 2], "big")
        segment = data[position + 2 : position + length]
        position += max(length, 2)
        _read_segment(marker, segment, structure)
        if marker == _SOS:
            position = _read_scan(data, position, segment, structure)
    return structure


def _next_marker(data: bytes, position: int) -> int:
    """Return the position of the next marker, the last 0xFF before its code; -1 if there is none."""
    while 0 <= (position := data.find(b"\xff", position)) < len(data) - 1:
        if data[position + 1] not in (0x00, 0xFF):
            return position
        position += 1
    return -1


def _read_segment(marker: int, segment: bytes, structure: _Structure) -> None:
    if (marker in _FRAMES or marker in _OTHER_FRAMES) and len(segment) >= 6:
        structure.frame = marker
        structure.height, structure.width = (
            int.from_bytes(segment[1:3], "big"),
            int.from_bytes(segment[3:5], "big"),
        )
        entries = [segment[start : start + 3] for start in range(6, 6 + 3 * segment[5], 3)]
        structure.sampling = {
            entry[0]: (entry[1] >> 4 or 1, entry[1] & 15 or 1) for entry in entries if len(entry) == 3
        }
    elif marker == _DRI:
        structure.restart_interval = int.from_bytes(segment[:2], "big")
    elif marker == _DHT:
        _read_huffman_tables(segment, structure)


def _read_huffman_tables(segment: bytes, structure: _Structure) -> None:
    """Add the first symbol of each AC table; canonical Huffman coding assigns zero bits to it."""
    start = 0
    while start + 17 < len(segment):
        if segment[start] >> 4:
            structure.first_ac_symbols.add(segment[start + 17])
        start += 17 + sum(segment[start + 1 : start + 17])


def _read_scan(data: bytes, start: int, header: bytes, structure: _Structure) -> int:
    """Add the scan whose compressed data begin at `start`; return the position of the marker that ends it."""
    count = header[0] if header else 0
    if len(header) < 4 + 2 * count:
        return start
    first, last, bits = header[1 + 2 * count : 4 + 2 * count]
    scan = _Scan(tuple(header[1 : 1 + 2 * count : 2]), first, last, bits & 15, start)
    position = start
    while (position := _next_marker(data, position)) >= 0 and data[position + 1] in _RESTARTS:
        scan.restarts.append(position)
        position += 2
    scan.end = position if position >= 0 else len(data)
    structure.scans.append(scan)
    return scan.end


def _all_coefficients(structure: _Structure) -> bool:
    """Whether the scans of a progressive file hold all bits of all coefficients."""
    low_bits = {component: np.full(64, 16) for component in structure.sampling}
    for scan in structure.scans:
        for component in scan.components:
            if component in low_bits:
                low_bits[component][scan.first : scan.last + 1] = scan.low_bit
    return all(not bits.any() for bits in low_bits.values())


def _lacks_restarts(structure: _Structure) -> bool:
    """Whether a scan over all components has fewer restart markers than its size requires."""
    columns, rows = structure.grid
    if not structure.restart_interval or structure.frame == _PROGRESSIVE:
        return False
    expected = -(-columns * rows // structure.restart_interval) - 1
    return any(
        len(scan.restarts) < expected
        for scan in structure.scans
        if len(scan.components) == len(structure.sampling)
    )


def _may_be_incomplete(structure: _Structure, pixels: Pixels) -> bool:
    """Whether the pixels allow that a segment ended early."""
    if structure.frame == _PROGRESSIVE or len(structure.scans) > 1 or len(structure.sampling) == 4:
        return True
    columns, rows = structure.grid
    width, height = structure.unit
    interval = structure.restart_interval or columns * rows
    last = np.minimum(np.arange(interval, columns * rows + interval, interval), columns * rows) - 1
    x = np.minimum(last % columns * width + width // 2, pixels.shape[1] - 1)
    y = np.minimum(last // columns * height + height // 2, pixels.shape[0] - 1)
    distance = np.abs(pixels[y, x].astype(np.int16) - _NEUTRAL).max(axis=1)
    return bool((distance <= _NEUTRAL_TOLERANCE).any())


def _with_probes(data: bytes, structure: _Structure) -> bytes:
    """Insert probe bytes at the end of every compressed segment."""
    ends = [position for scan in structure.scans for position in (*scan.restarts, scan.end)]
    starts = [0, *ends]
    parts = [data[start:end] for start, end in zip(starts, ends, strict=False)]
    return _PROBE.join([*parts, data[ends[-1] :]])


def _has_hole(data: bytes, structure: _Structure) -> bool:
    """Whether the compressed data contain a long run of zero bytes that no encoder writes.

    Zero bits decode to the first symbol of each Huffman table. A long run of them is legitimate if that symbol ends a
    block in all tables of AC coefficients, as in constant areas. Progressive scans and scans of single components use
    other codes or only some of the tables, and are not considered.
    """
    if structure.frame == _PROGRESSIVE or structure.first_ac_symbols == {_END_OF_BLOCK}:
        return False
    return any(
        data.find(_ZERO_RUN, scan.start, scan.end) >= 0
        for scan in structure.scans
        if len(scan.components) == len(structure.sampling)
    )


def _changes(modified: bytes, pixels: Pixels, decode: Callable[[bytes], Pixels]) -> bool:
    try:
        return not np.array_equal(decode(modified), pixels)
    except Exception:  # the decoder fails in many ways on modified data, never on unused bytes
        return True
