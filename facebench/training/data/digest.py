"""Digest of the training images, by which a resumed run recognises that they changed."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from facebench.images.decoding import ImageError
from facebench.images.image_set import ImageSet, Item, read
from facebench.training.data.faces import Faces

READ_FILES = 64
"""Number of files whose content enters the digest, evenly spaced; of all files, the name and the size do."""
READ_IMAGES = 8
"""Number of images that enter the digest of data without files."""


def data_digest(faces: Faces) -> str:
    """Return a digest of a training set.

    It covers the name and the size of every file, and the content of 64 files. Sets without files, such as databases
    and renderings, are covered by their length and 8 images.
    """
    while (inner := getattr(faces, "faces", None)) is not None:
        faces = inner
    digest = hashlib.sha256(f"{len(faces)}".encode())
    images = getattr(faces, "images", None)
    if isinstance(images, ImageSet):
        for item in images.items:
            digest.update(f"{item.name}\0{_size(item)}\0".encode("utf-8", "surrogateescape"))
        for index in _sample(len(images), READ_FILES):
            digest.update(_content(images.items[index]))
    else:
        for index in _sample(len(faces), READ_IMAGES):
            digest.update(_pixels(faces, index))
    return digest.hexdigest()


def _sample(count: int, most: int) -> list[int]:
    positions: list[int] = np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.int64)).tolist()
    return positions


def _size(item: Item) -> int:
    try:
        return item.path.stat().st_size
    except OSError:
        return -1


def _content(item: Item) -> bytes:
    try:
        return hashlib.sha256(read(item)).digest()
    except ImageError as error:
        return error.reason.encode()


def _pixels(faces: Faces, index: int) -> bytes:
    try:
        face: Any = faces.read(index)
    except ImageError as error:
        return error.reason.encode()
    fields = [np.ascontiguousarray(face.fields[name]).tobytes() for name in sorted(face.fields)]
    return b"".join([face.name.encode("utf-8", "surrogateescape"), face.image.tobytes(), *fields])
