"""Named arrays as bytes that describe themselves: what the feature store writes, without pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

Arrays = Mapping[str, npt.NDArray[Any]]


def pack(arrays: Arrays) -> bytes:
    """Named arrays as bytes that describe themselves (never pickled)."""
    ordered = {name: np.asarray(value, order="C") for name, value in arrays.items()}
    layout = [[name, value.dtype.str, list(value.shape)] for name, value in ordered.items()]
    header = json.dumps(layout, separators=(",", ":")).encode()
    return b"".join(
        [len(header).to_bytes(4, "little"), header, *(value.tobytes() for value in ordered.values())]
    )


def unpack(data: bytes) -> dict[str, npt.NDArray[Any]]:
    """The arrays that `pack` was given, as read-only views of `data`.

    Example:
        >>> unpack(pack({"yaw": np.float32([12.5])}))
        {'yaw': array([12.5], dtype=float32)}
    """
    end = 4 + int.from_bytes(data[:4], "little")
    arrays = {}
    for name, dtype, shape, count in _layout(data[4:end]):
        arrays[name] = np.frombuffer(data, dtype, count, end).reshape(shape)
        end += count * dtype.itemsize
    return arrays


@lru_cache(maxsize=256)
def _layout(header: bytes) -> list[tuple[str, np.dtype[Any], tuple[int, ...], int]]:
    return [
        (name, np.dtype(dtype), tuple(shape), int(np.prod(shape, dtype=np.int64)))
        for name, dtype, shape in json.loads(header)
    ]
