"""Access of the engine to the feature store; a failing store does not lose results."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from facebench.backbones.base import Backbone
from facebench.backbones.face_detection import Face
from facebench.backbones.face_detector import FaceDetector
from facebench.core.errors import StoreError
from facebench.features.store.serialisation import Arrays
from facebench.features.store.sqlite import Network, Store

IMAGE = Network("image", weights="", preprocessing="decoding-v1")
"""Store key for the size and the decoding notes of an image."""


def network_of(network: Backbone | FaceDetector) -> Network:
    """Return the store key of a backbone or of the face detector."""
    name = network.name if isinstance(network, Backbone) else "faces"
    return Network(name, network.weights.sha256, network.preprocessing)


def address_of(sha256: str, face: Face | None = None) -> bytes:
    """Return the store address of a result: the content, and the face geometry if the network received a crop."""
    address = bytes.fromhex(sha256)
    if face is None:
        return address
    geometry = np.asarray(face.box, np.float64).tobytes() + np.asarray(face.landmarks, np.float32).tobytes()
    return address + hashlib.blake2b(geometry, digest_size=16).digest()


def face_to_arrays(face: Face | None) -> Arrays:
    """Convert a face to arrays; no arrays if no face was detected."""
    if face is None:
        return {}
    return {
        "box": np.asarray(face.box, np.float64),
        "landmarks": np.asarray(face.landmarks, np.float32),
        "score": np.array([face.score]),
    }


def face_from_arrays(arrays: Arrays) -> Face | None:
    """Invert `face_to_arrays`."""
    if not arrays:
        return None
    x, y, width, height = (float(value) for value in arrays["box"])
    return Face((x, y, width, height), arrays["landmarks"].copy(), float(arrays["score"][0]))


def image_to_arrays(size: tuple[int, int], notes: Sequence[str]) -> Arrays:
    """Convert the size (width, height) and the decoding notes of an image to arrays."""
    text = json.dumps(list(notes)).encode()
    return {"size": np.asarray(size, np.int32), "notes": np.frombuffer(text, np.uint8)}


def image_from_arrays(arrays: Arrays) -> tuple[tuple[int, int], tuple[str, ...]]:
    """Invert `image_to_arrays`."""
    width, height = (int(value) for value in arrays["size"])
    return (width, height), tuple(json.loads(arrays["notes"].tobytes()))


class Cache:
    """Feature store with buffered writes. After a failure, the run continues without the store.

    Args:
        store: None disables the cache.
    """

    def __init__(self, store: Store | None) -> None:
        self._store = store
        self._readable = self._writable = True
        self._earlier_warnings = 0 if store is None else len(store.warnings)
        self._failures: list[str] = []
        self._unwritten: list[tuple[Network, bytes, Arrays]] = []

    def get(self, network: Network, addresses: Sequence[bytes]) -> dict[bytes, dict[str, npt.NDArray[Any]]]:
        """Return the stored results by address; none after a failure of the store."""
        if self._store is None or not self._readable or not addresses:
            return {}
        try:
            return self._store.get(network, addresses)
        except StoreError as error:
            self._readable = self._writable = False
            self._failures.append(f"{error} This run continues without it.")
            return {}

    def put(self, network: Network, address: bytes, arrays: Arrays) -> None:
        """Buffer a result; the next `flush` writes it."""
        if self._store is not None and self._writable:
            self._unwritten.append((network, address, arrays))

    def flush(self) -> None:
        """Write the buffered results in one transaction."""
        if self._store is None or not self._unwritten:
            return
        results, self._unwritten = self._unwritten, []
        try:
            self._store.put(results)
        except StoreError as error:
            self._writable = False
            self._failures.append(f"{error} Results are not stored for the next run.")

    def warnings(self) -> list[str]:
        """Return the failures and the warnings of the store during this run."""
        if self._store is None:
            return self._failures
        return self._failures + self._store.warnings[self._earlier_warnings :]
