"""LMDB databases in the layout of DiffAE: encoded images under "SIZE-NUMBER", their count under "length".

Source: the layout of the public DiffAE data preparation (Preechakul et al. 2022).
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from facebench.core.errors import InputError
from facebench.images.decoding import decode
from facebench.images.sources.lmdb import DIFFAE_KEY, LENGTH, open_database
from facebench.training.data.faces import Face
from facebench.training.data.folders import square


class LmdbFaces:
    """Images of a DiffAE database.

    Args:
        path: database, such as ffhq256.lmdb.
        size: pixels per side that the network reads.
        stored: pixels per side in the keys; read from the first key when None.

    Raises:
        InputError: the database is missing or has another layout.
    """

    def __init__(self, path: str | Path, size: int, stored: int | None = None) -> None:
        self.path, self.size = Path(path), size
        if not self.path.exists():
            raise InputError(f"{path} does not exist.")
        with self._database.begin() as transaction:
            length = transaction.get(LENGTH)
            first = next((bytes(key) for key, _ in transaction.cursor() if b"-" in key), None)
        if length is None or first is None:
            raise InputError(f"{path}: is not a DiffAE database: it lacks images or the key 'length'.")
        self.length = int(length.decode())
        self.stored = stored or int(first.partition(b"-")[0])

    def __len__(self) -> int:
        return self.length

    def read(self, index: int) -> Face:
        """Decode image `index`.

        Raises:
            ImageError: the image is missing or damaged.
        """
        key = _key(self.stored, index)
        with self._database.begin() as transaction:
            data = transaction.get(key)
        name = f"{self.path.name} {key.decode()}"
        return Face(name, square(decode(data or b"", name), self.size))

    @property
    def _database(self) -> Any:
        return open_database(self.path.absolute(), os.getpid())


def write_lmdb(path: Path, size: int, images: Iterable[bytes]) -> int:
    """Write encoded images of `size` pixels per side as a DiffAE database; return their number."""
    import lmdb

    count = 0
    with lmdb.open(str(path), map_size=2**40, readahead=False) as database:
        for data in images:
            with database.begin(write=True) as transaction:
                transaction.put(_key(size, count), data)
            count += 1
        with database.begin(write=True) as transaction:
            transaction.put(LENGTH, str(count).encode())
    return count


def _key(size: int, index: int) -> bytes:
    return DIFFAE_KEY.format(size, index).encode()
