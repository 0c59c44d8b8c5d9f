"""Extraction of one file from a zip archive, with a limit on its size."""

from __future__ import annotations

import lzma
import struct
import zipfile
import zlib
from pathlib import Path
from typing import IO

from facebench.backbones.weights.contents import not_weights
from facebench.backbones.weights.disk import writable
from facebench.backbones.weights.registry import Entry

LARGEST = 2 << 30
"""Size limit in bytes of files whose size the registry does not state."""
_BLOCK = 1 << 20
_DAMAGED = (
    zipfile.BadZipFile,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    struct.error,
    zlib.error,
    lzma.LZMAError,
)


def size_limit(entry: Entry) -> int:
    """Return the size limit in bytes of an unpacked file."""
    return LARGEST if entry.size is None else entry.size


def extract(entry: Entry, archive: Path, target: Path) -> str | None:
    """Extract the file of an entry from its archive, in whatever folder of the archive it lies.

    Args:
        entry: registry entry with `member`, the name of the file.
        archive: the zip archive.
        target: path of the extracted file.

    Returns:
        The reason why extraction failed, as a clause; None after success.

    Raises:
        WeightsError: the target cannot be written.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [info for info in opened.infolist() if info.filename.rsplit("/", 1)[-1] == entry.member]
            if len(members) != 1:
                return f"the archive holds {len(members)} files named {entry.member}, expected one"
            if members[0].file_size > size_limit(entry):
                return (
                    f"{entry.member} unpacks to {members[0].file_size:,} bytes, expected {_expected(entry)}"
                )
            with opened.open(members[0]) as source:
                return _copy(entry, source, target)
    except _DAMAGED as error:
        # zipfile raises NotImplementedError and RuntimeError for compressions and passwords that it does not know.
        return not_weights(archive) or f"it is not a complete zip archive ({error})"


def _copy(entry: Entry, source: IO[bytes], target: Path) -> str | None:
    """Copy up to the size limit, whatever size the archive declares."""
    limit, done = size_limit(entry), 0
    with writable(target.parent), target.open("wb") as copy:
        while block := _read(source):
            done += len(block)
            if done > limit:
                return f"{entry.member} unpacks to more than the expected {_expected(entry)}"
            copy.write(block)
    return None


def _read(source: IO[bytes]) -> bytes:
    try:
        return source.read(_BLOCK)
    except OSError as error:  # of the archive, not of the disk that is written
        raise zipfile.BadZipFile(str(error)) from None


def _expected(entry: Entry) -> str:
    return f"at most {LARGEST:,} bytes" if entry.size is None else f"{entry.size:,} bytes"
