"""LMDB databases as DiffAE writes them: encoded images under the key "SIZE-NUMBER", and their count under "length".

Source: the layout of the public DiffAE data preparation (Preechakul et al. 2022).
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from facebench.core.errors import InputError
from facebench.images.decoding import decode
from facebench.training.data.faces import Face
from facebench.training.data.folders import square

DIGITS = 5
LENGTH = b"length"


class LmdbFaces:
    """Images of a DiffAE database.

    Args:
        path: the database, such as ffhq256.lmdb.
        size: pixels per side that the network reads.
        stored: pixels per side in the keys; found out when None.

    Raises:
        InputError: no such database, or one of another layout.
    """

    def __init__(self, path: str | Path, size: int, stored: int | None = None) -> None:
        self.path, self.size = Path(path), size
        if not self.path.exists():
            raise InputError(f"There is no {path}.")
        with self._open.begin() as reading:
            length = reading.get(LENGTH)
            first = next((bytes(key) for key, _ in reading.cursor() if b"-" in key), None)
        if length is None or first is None:
            raise InputError(f"{path}: is no database of DiffAE: it lacks the key 'length', or images.")
        self.length = int(length.decode())
        self.stored = stored or int(first.partition(b"-")[0])

    def __len__(self) -> int:
        return self.length

    def read(self, index: int) -> Face:
        """Decode image `index`.

        Raises:
            ImageError: it is missing or damaged.
        """
        key = _key(self.stored, index)
        with self._open.begin() as reading:
            data = reading.get(key)
        name = f"{self.path.name} {key.decode()}"
        return Face(name, square(decode(data or b"", name), self.size))

    @property
    def _open(self) -> Any:
        return _opened(self.path.absolute(), os.getpid())


def write_lmdb(path: Path, size: int, images: Iterable[bytes]) -> int:
    """Write encoded images of `size` pixels per side as DiffAE does; returns how many."""
    import lmdb

    count = 0
    with lmdb.open(str(path), map_size=2**40, readahead=False) as database:
        for data in images:
            with database.begin(write=True) as writing:
                writing.put(_key(size, count), data)
            count += 1
        with database.begin(write=True) as writing:
            writing.put(LENGTH, str(count).encode())
    return count


@cache
def _opened(path: Path, process: int) -> Any:
    """The database; a process may open it only once, and must not use what its parent opened."""
    import lmdb

    try:
        return lmdb.open(str(path), readonly=True, lock=False, readahead=False, subdir=path.is_dir())
    except lmdb.Error as error:
        raise InputError(f"{path}: is not a readable LMDB database ({error}).") from None


def _key(size: int, index: int) -> bytes:
    return f"{size}-{str(index).zfill(DIGITS)}".encode()
