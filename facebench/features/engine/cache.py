"""The feature store as the engine sees it: never a reason to lose a result."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from facebench.backbones.base import Backbone
from facebench.backbones.face_detection import Face, FaceFinder
from facebench.core.errors import StoreError
from facebench.features.store.serialisation import Arrays
from facebench.features.store.sqlite import Network, Store

PIXELS = Network("image", weights="", preprocessing="decoding-v1")
"""Under this the size of an image and the notes of its decoding are stored."""


def network_of(backbone: Backbone | FaceFinder) -> Network:
    """The store's name for the results of a backbone or of the face finder."""
    name = backbone.name if isinstance(backbone, Backbone) else "faces"
    return Network(name, backbone.weights.sha256, backbone.preprocessing)


def address_of(sha256: str, face: Face | None = None) -> bytes:
    """Where a result lies: the content, and the face geometry when the network saw a crop."""
    address = bytes.fromhex(sha256)
    if face is None:
        return address
    geometry = np.asarray(face.box, np.float64).tobytes() + np.asarray(face.landmarks, np.float32).tobytes()
    return address + hashlib.blake2b(geometry, digest_size=16).digest()


def pack_face(face: Face | None) -> Arrays:
    """A face as arrays; nothing at all when the image has none."""
    if face is None:
        return {}
    return {
        "box": np.asarray(face.box, np.float64),
        "landmarks": np.asarray(face.landmarks, np.float32),
        "score": np.array([face.score]),
    }


def unpack_face(arrays: Arrays) -> Face | None:
    """The inverse of `pack_face`."""
    if not arrays:
        return None
    x, y, width, height = (float(value) for value in arrays["box"])
    return Face((x, y, width, height), arrays["landmarks"].copy(), float(arrays["score"][0]))


def pack_pixels(size: tuple[int, int], notes: Sequence[str]) -> Arrays:
    """What is kept of a decoded image."""
    text = json.dumps(list(notes)).encode()
    return {"size": np.asarray(size, np.int32), "notes": np.frombuffer(text, np.uint8)}


def unpack_pixels(arrays: Arrays) -> tuple[tuple[int, int], tuple[str, ...]]:
    """The inverse of `pack_pixels`."""
    width, height = (int(value) for value in arrays["size"])
    return (width, height), tuple(json.loads(arrays["notes"].tobytes()))


class Cache:
    """A store that may be absent or fail: then the run goes on without it and says so once.

    Args:
        store: None to keep nothing.
    """

    def __init__(self, store: Store | None) -> None:
        self._store = store
        self._readable = self._writable = True
        self._told = 0 if store is None else len(store.warnings)
        self._failures: list[str] = []
        self._unwritten: list[tuple[Network, bytes, Arrays]] = []

    def get(self, network: Network, addresses: Sequence[bytes]) -> dict[bytes, dict[str, npt.NDArray[Any]]]:
        """The stored results among `addresses`; none when the store fails."""
        if self._store is None or not self._readable or not addresses:
            return {}
        try:
            return self._store.get(network, addresses)
        except StoreError as error:
            self._readable = self._writable = False
            self._failures.append(f"{error} This run goes on without it.")
            return {}

    def put(self, network: Network, address: bytes, arrays: Arrays) -> None:
        """Keep a result; it is safe on disk after the next `flush`."""
        if self._store is not None and self._writable:
            self._unwritten.append((network, address, arrays))

    def flush(self) -> None:
        """Write what was put, in one transaction."""
        if self._store is None or not self._unwritten:
            return
        waiting, self._unwritten = self._unwritten, []
        try:
            self._store.put(waiting)
        except StoreError as error:
            self._writable = False
            self._failures.append(f"{error} Results are not kept for the next run.")

    def warnings(self) -> list[str]:
        """What went wrong in this run."""
        return self._failures + ([] if self._store is None else self._store.warnings[self._told :])
