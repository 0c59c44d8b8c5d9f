"""Serialise named arrays to self-describing bytes, without pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

Arrays = Mapping[str, npt.NDArray[Any]]


def serialise(arrays: Arrays) -> bytes:
    """Serialise named arrays: the length of the header, the header as JSON, then the raw bytes of each array."""
    contiguous = {name: np.asarray(value, order="C") for name, value in arrays.items()}
    layout = [[name, value.dtype.str, list(value.shape)] for name, value in contiguous.items()]
    header = json.dumps(layout, separators=(",", ":")).encode()
    return b"".join(
        [len(header).to_bytes(4, "little"), header, *(value.tobytes() for value in contiguous.values())]
    )


def deserialise(data: bytes) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays passed to `serialise`, as read-only views of `data`.

    Example:
        >>> deserialise(serialise({"yaw": np.float32([12.5])}))
        {'yaw': array([12.5], dtype=float32)}
    """
    offset = 4 + int.from_bytes(data[:4], "little")
    arrays = {}
    for name, dtype, shape, count in _parse_header(data[4:offset]):
        arrays[name] = np.frombuffer(data, dtype, count, offset).reshape(shape)
        offset += count * dtype.itemsize
    return arrays


@lru_cache(maxsize=256)
def _parse_header(header: bytes) -> list[tuple[str, np.dtype[Any], tuple[int, ...], int]]:
    """Return name, dtype, shape and number of elements of each array."""
    return [
        (name, np.dtype(dtype), tuple(shape), int(np.prod(shape, dtype=np.int64)))
        for name, dtype, shape in json.loads(header)
    ]
