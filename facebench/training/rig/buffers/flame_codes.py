"""What a face is made of, as arrays by name with one row per face, and the two spaces that they live in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from facebench.core.errors import InputError
from facebench.training.rig.buffers.images import Planes

Codes = dict[str, NDArray[Any]]
"""Arrays by name; row i of every array belongs to face i."""
What = Literal["expression", "light", "pose"]
WHAT: tuple[What, ...] = ("expression", "light", "pose")


class Space(Protocol):
    """What codes mean: how they are drawn, and which of them make the expression, the light and the pose."""

    name: str
    """"synthface" or "flame"."""
    brightest: float
    """Value of `rendered` that the largest byte stands for."""
    shape: tuple[str, ...]
    """Names of the codes that make the shape of a person."""

    def draw(self, codes: Codes, size: int) -> Planes:
        """Buffers of the first face of `codes`, `size` pixels per side."""

    def transferred(self, onto: Codes, of: Codes, what: What) -> Codes:
        """The codes `onto` with the expression, light or pose `of` another face, row by row."""


def take(codes: Codes, rows: Sequence[int]) -> Codes:
    """The faces of these rows."""
    index = np.asarray(rows, np.int64)
    return {name: array[index] for name, array in codes.items()}


def join(parts: Sequence[Codes]) -> Codes:
    """Faces of several parts, one after the other."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def mean_shape(codes: Codes, space: Space) -> Codes:
    """The shape of an album: the mean over its faces, (1, ...) per code."""
    return {name: codes[name].mean(axis=0, keepdims=True, dtype=np.float64) for name in space.shape}


def with_shape(codes: Codes, shape: Codes) -> Codes:
    """The same faces, all with one shape."""
    n = len(next(iter(codes.values())))
    return codes | {
        name: np.repeat(value, n, axis=0).astype(codes[name].dtype) for name, value in shape.items()
    }


def check_what(what: str) -> What:
    """One of "expression", "light" and "pose".

    Raises:
        InputError: something else.
    """
    for known in WHAT:
        if what == known:
            return known
    raise InputError(f"'{what}' cannot be transferred. Known: {', '.join(WHAT)}.")
