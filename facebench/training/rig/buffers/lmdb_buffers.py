"""LMDB databases of DiffusionRig-Emo as training data.

    albedo_000000, normal_000000, rendered_000000    pickled float tensors (3, size, size)
    image_000000                                     PNG of the photo
    shape_000000, identity_000000                    pickled float tensors (100) and (150), version 2 only
    length                                           number of faces, decimal text
    mean_shape.pkl                                   pickled tensor (1, 100) beside the database of an album

Source: the public code of DiffusionRig-Emo (2025), versions 1 and 2.
"""

from __future__ import annotations

import hashlib
import os
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facebench.core.errors import InputError
from facebench.images.decoding import decode as decode_image
from facebench.images.sources.lmdb import DATA_FILE, LENGTH, open_database
from facebench.training.data.faces import Face
from facebench.training.rig.buffers.dataset import About
from facebench.training.rig.buffers.images import BUFFERS
from facebench.training.rig.buffers.tensor_pickle import read_tensor

MEAN_SHAPE = "mean_shape.pkl"
DIGESTED = 64
"""Photos in the digest of a database."""
CODES = {"shape": 100, "identity": 150}
"""Codes of version 2 and their widths."""


class LmdbBuffers:
    """Faces of an LMDB database with their buffers and, in version 2, their codes of shape and identity.

    Args:
        folder: folder of the database.
        source: extractor of the buffers, deca or emoca, which the database does not record.

    Raises:
        InputError: the database is missing, is not readable, or has another layout.
    """

    def __init__(self, folder: str | Path, source: str = "deca") -> None:
        self.folder = Path(folder)
        if not is_lmdb(self.folder):
            raise InputError(f"{folder} holds no LMDB database ({DATA_FILE}).")
        length = self._get(LENGTH.decode())
        try:
            self._length = int((length or b"").decode())
        except ValueError:
            raise InputError(
                f"{folder}: is not a database of DiffusionRig buffers: it lacks the key 'length'."
            ) from None
        if self._length < 1:
            raise InputError(f"{folder} holds no face.")
        self.fields = [name for name in CODES if self._get(_key(name, 0)) is not None]
        first = self.read(0)
        self.about = About(
            source,
            "flame",
            len(first.image),
            2.0,
            self._length,
            self._digest(),
            mean_shape=self.mean_shape_file is not None,
        )
        self.skipped: list[tuple[str, str, str]] = []

    def __len__(self) -> int:
        return self._length

    @property
    def mean_shape_file(self) -> Path | None:
        """The file of the mean shape inside the folder of the database or beside it; None without one."""
        places = (self.folder / MEAN_SHAPE, self.folder.parent / MEAN_SHAPE)
        return next((path for path in places if path.is_file()), None)

    def read(self, index: int) -> Face:
        """Read photo, buffers and codes of face `index`; buffers are float32 as stored.

        Raises:
            InputError: a key is missing, or holds something else than a tensor of its shape.
            ImageError: the photo is damaged.
        """
        photo = decode_image(self._required("image", index), f"{self.folder} {_key('image', index)}")
        size = len(photo)
        planes = [self._tensor(name, index, (3, size, size)) for name in BUFFERS]
        codes = {name: self._tensor(name, index, (CODES[name],)) for name in self.fields}
        if photo.shape != (size, size, 3):
            raise InputError(
                f"{self.folder}: {_key('image', index)} is not square ({photo.shape[1]} × {photo.shape[0]} pixels)."
            )
        return Face(_key("image", index), photo, {"conditions": np.concatenate(planes), **codes})

    def _tensor(self, name: str, index: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
        where = f"{self.folder}: {_key(name, index)}"
        tensor = read_tensor(self._required(name, index), where)
        if tuple(tensor.shape) not in (shape, (1, *shape)):
            raise InputError(f"{where} has shape {tuple(tensor.shape)}, {shape} is needed.")
        return np.ascontiguousarray(tensor.reshape(shape).float().numpy())

    def _required(self, name: str, index: int) -> bytes:
        data = self._get(_key(name, index))
        if data is None:
            raise InputError(f"{self.folder}: the key '{_key(name, index)}' is missing.")
        return data

    def _get(self, key: str) -> bytes | None:
        with self._database.begin() as transaction:
            data = transaction.get(key.encode())
        return None if data is None else bytes(data)

    def _digest(self) -> str:
        """Digest of the length and of some photos; reading a whole database would take minutes."""
        digest = hashlib.sha256(str(self._length).encode())
        for index in np.linspace(0, self._length - 1, min(self._length, DIGESTED)).astype(int).tolist():
            digest.update(self._required("image", index))
        return digest.hexdigest()

    @property
    def _database(self) -> Any:
        return open_database(self.folder.absolute(), os.getpid())

    @cached_property
    def names(self) -> list[str]:
        """Keys of the photos."""
        return [_key("image", index) for index in range(self._length)]


def is_lmdb(folder: Path) -> bool:
    """Whether a folder holds an LMDB database."""
    return (folder / DATA_FILE).is_file()


def read_mean_shape(path: Path) -> NDArray[np.float32]:
    """Read `mean_shape.pkl`, (1, 100) shape codes of FLAME.

    Raises:
        InputError: the file is missing, or holds something else than one tensor of 100 values.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}).") from None
    tensor = read_tensor(data, str(path))
    if tensor.numel() != CODES["shape"]:
        raise InputError(f"{path} holds {tensor.numel()} values, a shape code has {CODES['shape']}.")
    return np.asarray(tensor.reshape(1, -1).float().numpy(), np.float32)


def _key(name: str, index: int) -> str:
    return f"{name}_{index:06d}"
