"""Images in LMDB databases: encoded files under "SIZE-NUMBER" (DiffAE) or "image_NUMBER" (DiffusionRig-Emo).

The key "length" holds the number of images as decimal text. Columns of a database do not exist.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from facebench.core.errors import InputError
from facebench.images.errors import ImageError
from facebench.images.formats import format_of
from facebench.images.sources.content import MAX_MEMBERS

DATA_FILE = "data.mdb"
"""File of a database that is a folder."""
LENGTH = b"length"
RIG_KEY = "image_{:06d}"
DIFFAE_KEY = "{}-{:05d}"
_SUFFIXES = {"PNG": ".png", "JPEG": ".jpg", "WebP": ".webp", "BMP": ".bmp", "TIFF": ".tif", "PNM": ".ppm"}


@dataclass(frozen=True)
class LmdbImage:
    """One value of a database."""

    database: Path
    key: str

    def read(self, name: str, max_bytes: int) -> bytes:
        """Return the encoded image."""
        try:
            with open_database(self.database, os.getpid()).begin(buffers=True) as transaction:
                value = transaction.get(self.key.encode())
                if value is None:
                    raise ImageError("missing", f"{self.database.name} has no key '{self.key}'", name)
                if len(value) > max_bytes:
                    raise ImageError("too_large", f"more than {max_bytes} bytes", name)
                data = bytes(value)
        except InputError as error:
            raise ImageError("missing", str(error), name) from error
        if not data:
            raise ImageError("empty", "the value has no bytes", name)
        return data


def is_database(path: Path) -> bool:
    """Return whether a path is an LMDB database: a folder with `data.mdb`, or a file ending in .lmdb or .mdb."""
    return (path / DATA_FILE).is_file() if path.is_dir() else path.suffix.lower() in (".lmdb", ".mdb")


def images_of(path: Path) -> dict[str, LmdbImage]:
    """List the images of a database by name: their numbers, with the suffix of the first image's format.

    Raises:
        InputError: the database is not readable, or has another layout.
    """
    with open_database(path, os.getpid()).begin() as transaction:
        length = transaction.get(LENGTH)
        pattern = _pattern(transaction)
        first = None if pattern is None else transaction.get(pattern.format(0).encode())
    if length is None or not length.isdigit() or pattern is None:
        raise InputError(f"{path} is not a database of images: it lacks images or the key 'length'.")
    count = int(length)
    if not 0 < count <= MAX_MEMBERS:
        raise InputError(f"{path} states {count:,} images; 1 to {MAX_MEMBERS:,} are read.")
    suffix = _SUFFIXES.get(format_of(bytes(first or b"")) or "", ".png")
    return {f"{i:06d}{suffix}": LmdbImage(path, pattern.format(i)) for i in range(count)}


def _pattern(transaction: Any) -> str | None:
    """Return the pattern of the keys of images, with one field for the number."""
    if transaction.get(RIG_KEY.format(0).encode()) is not None:
        return RIG_KEY
    key = next((bytes(key) for key, _ in transaction.cursor() if b"-" in key), None)
    size = b"" if key is None else key.partition(b"-")[0]
    return DIFFAE_KEY.replace("{}", size.decode(), 1) if size.isdigit() else None


@cache
def open_database(path: Path, process: int) -> Any:
    """Open a database once per process; LMDB handles must not be shared with forked processes.

    Raises:
        InputError: it is not an LMDB database, or the package lmdb is missing.
    """
    try:
        import lmdb
    except ImportError:
        raise InputError(
            f"{path} is an LMDB database; reading it needs: pip install 'facebench[sources]'"
        ) from None
    try:
        return lmdb.open(str(path), readonly=True, lock=False, readahead=False, subdir=path.is_dir())
    except lmdb.Error as error:
        raise InputError(f"{path}: is not a readable LMDB database ({error}).") from None
