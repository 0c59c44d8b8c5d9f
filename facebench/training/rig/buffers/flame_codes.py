"""Codes of faces as named arrays with one row per face, and the interface of the spaces they belong to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from facebench.core.errors import InputError
from facebench.training.rig.buffers.images import BufferImages

Codes = dict[str, NDArray[Any]]
"""Arrays by name; row i of every array belongs to face i."""
TransferKind = Literal["expression", "light", "pose"]
TRANSFER_KINDS: tuple[TransferKind, ...] = ("expression", "light", "pose")
SHAPE_CODES: Mapping[str, tuple[str, ...]] = {
    "flame": ("shape",),
    "synthface": ("beta", "age", "gender", "ancestry", "weight"),
}
"""Names of the codes that describe the shape of a person, by space."""
APPEARANCE_CODES: Mapping[str, tuple[str, ...]] = {
    "flame": ("tex",),
    "synthface": ("albedo", "brow", "hair", "beard", "blush", "freckles"),
}
"""Names of the codes that describe the appearance of a person, by space."""


class Space(Protocol):
    """Interface of a space of codes: how they are rendered, and which of them are expression, light and pose."""

    name: str
    """"synthface" or "flame"."""
    brightest: float
    """Value of `rendered` that byte 255 represents."""
    shape: tuple[str, ...]
    """Names of the codes that describe the shape of a person."""

    def draw(self, codes: Codes, size: int) -> BufferImages:
        """Render the buffers of the first face of `codes` at `size` pixels per side."""

    def transferred(self, onto: Codes, of: Codes, kind: TransferKind) -> Codes:
        """Replace the expression, light or pose of the faces `onto` by that of the faces `of`, row by row."""


def take(codes: Codes, rows: Sequence[int]) -> Codes:
    """Select faces by their rows."""
    index = np.asarray(rows, np.int64)
    return {name: array[index] for name, array in codes.items()}


def join(parts: Sequence[Codes]) -> Codes:
    """Concatenate the faces of several parts."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def mean_shape(codes: Codes, space: Space) -> Codes:
    """Mean of the shape codes over all faces, (1, ...) each."""
    return {name: codes[name].mean(axis=0, keepdims=True, dtype=np.float64) for name in space.shape}


def with_shape(codes: Codes, shape: Codes) -> Codes:
    """Give all faces one shape."""
    n = len(next(iter(codes.values())))
    return codes | {
        name: np.repeat(value, n, axis=0).astype(codes[name].dtype) for name, value in shape.items()
    }


def person_codes(codes: Codes, space: str) -> Codes:
    """Return the codes of shape and identity, as a DiffusionRig-Emo receives them.

        shape = shape codes,   identity = [shape codes, appearance codes]

    Args:
        codes: codes of n faces.
        space: name of their space.

    Returns:
        "shape" (n, s) and "identity" (n, i), float32: 100 and 150 values for FLAME.

    Example:
        >>> flame = {"shape": np.zeros((2, 100)), "tex": np.zeros((2, 50)), "exp": np.zeros((2, 50))}
        >>> {name: array.shape for name, array in person_codes(flame, "flame").items()}
        {'shape': (2, 100), 'identity': (2, 150)}
    """
    n = len(next(iter(codes.values())))
    flat = {
        name: np.asarray(codes[name], np.float32).reshape(n, -1)
        for name in (*SHAPE_CODES[space], *APPEARANCE_CODES[space])
    }
    shape = np.concatenate([flat[name] for name in SHAPE_CODES[space]], axis=1)
    return {
        "shape": shape,
        "identity": np.concatenate([shape, *(flat[n] for n in APPEARANCE_CODES[space])], axis=1),
    }


def check_transfer_kind(kind: str) -> TransferKind:
    """Return the kind of a transfer, if it is one of `TRANSFER_KINDS`.

    Raises:
        InputError: it is not.
    """
    for known in TRANSFER_KINDS:
        if kind == known:
            return known
    raise InputError(f"'{kind}' cannot be transferred. Known: {', '.join(TRANSFER_KINDS)}.")
