"""Checks and conversions of input arrays: shape, type, finite values; reading in float64 blocks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from facebench.core.errors import InputError

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

BLOCK_ELEMENTS = 4_194_304
"""Numbers in memory at once when features are streamed: 32 MB of float64."""


def block_rows(width: int) -> int:
    """Return the number of rows of this width in one block."""
    return max(16, BLOCK_ELEMENTS // max(1, width))


def blocks(features: Array, rows: int | None = None) -> Iterator[Floats]:
    """Yield the rows of a matrix in float64 blocks; a memory map is never read at once."""
    step = rows or block_rows(features.shape[1])
    for start in range(0, len(features), step):
        yield np.asarray(features[start : start + step], dtype=np.float64)


def matrix(features: Array, name: str, smallest: int = 1) -> Array:
    """Check a feature matrix and return it without a copy.

    Args:
        features: (n, d) real numbers, any float or integer type, in memory or memory-mapped.
        name: name of the matrix for messages ("generated", "reference").
        smallest: fewest rows for which the metric is defined.

    Raises:
        InputError: not two-dimensional, not numbers, too few rows, no columns, NaN or infinity.
    """
    array = np.asanyarray(features)
    if array.ndim != 2:
        raise InputError(
            f"{name}: expected a matrix (samples, features), got shape {array.shape}. Give one row per image."
        )
    if array.dtype.kind not in "fiu":
        raise InputError(f"{name}: expected real numbers, got {array.dtype}. Give float32 features.")
    if len(array) < smallest or array.shape[1] == 0:
        raise InputError(
            f"{name}: {len(array)} rows of {array.shape[1]} features, but this metric needs at least "
            f"{smallest} rows and 1 feature. Add images or omit the metric."
        )
    if array.dtype.kind == "f":
        _finite_rows(array, name)
    return array


def _finite_rows(array: Array, name: str) -> None:
    step = block_rows(array.shape[1])
    for start in range(0, len(array), step):
        good = np.isfinite(array[start : start + step]).all(axis=1)
        if not good.all():
            row = start + int(np.argmin(good))
            raise InputError(f"{name}: row {row} holds NaN or infinity. Remove images without features.")


def two_matrices(generated: Array, reference: Array, smallest: int = 1) -> tuple[Array, Array]:
    """Check a generated and a reference matrix, which must have the same number of columns."""
    generated = matrix(generated, "generated", smallest)
    reference = matrix(reference, "reference", smallest)
    if generated.shape[1] != reference.shape[1]:
        raise InputError(
            f"generated has {generated.shape[1]} features, reference has {reference.shape[1]}. "
            "Both sides must come from the same backbone and array."
        )
    return generated, reference


def vector(values: Array, name: str, smallest: int = 1) -> Floats:
    """Check a list of numbers and return it as float64.

    Raises:
        InputError: not one-dimensional, fewer than `smallest` numbers, NaN or infinity.
    """
    array = np.asarray(values)
    if array.ndim != 1 or array.dtype.kind not in "fiub":
        raise InputError(f"{name}: expected a list of numbers, got shape {array.shape} of {array.dtype}.")
    if len(array) < smallest:
        raise InputError(f"{name}: {len(array)} values, but this metric needs at least {smallest}.")
    result = array.astype(np.float64, copy=False)
    finite = np.isfinite(result)
    if not finite.all():
        raise InputError(
            f"{name}: value {int(np.argmin(finite))} is NaN or infinite "
            f"({int((~finite).sum())} in all). Remove these items first."
        )
    return result


def unit_rows(features: Array, name: str) -> Floats:
    """Normalise rows to unit Euclidean length, float64.

    Raises:
        InputError: a row of zeros.
    """
    features = np.asanyarray(features)
    units = np.empty(features.shape)
    step = block_rows(max(1, features.shape[1]))
    for start in range(0, len(features), step):  # in blocks, so that only the result is in memory
        rows = np.asarray(features[start : start + step], dtype=np.float64)
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        if not norms.all():
            row = start + int(np.argmin(norms))
            raise InputError(f"{name}: row {row} is all zeros and has no direction.")
        np.divide(rows, norms, out=units[start : start + step])
    return units
