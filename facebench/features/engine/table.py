"""Arrays of one network over an image set, filled row by row."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

MAX_BYTES_IN_MEMORY = 32 * 2**20
"""Larger arrays are memory-mapped from a temporary file."""


def allocate(shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Allocate float32 zeros; a large array is mapped from a temporary file that is removed with it."""
    if 4 * int(np.prod(shape, dtype=np.int64)) <= MAX_BYTES_IN_MEMORY:
        return np.zeros(shape, np.float32)
    with tempfile.TemporaryFile(prefix="facebench-") as file:
        return np.memmap(file, np.float32, "w+", shape=shape)


class FeatureTable:
    """Rows of named float32 arrays. Rows that are missing or not finite become NaN.

    Args:
        names: names of the arrays.
        rows: maximum number of rows.
    """

    def __init__(self, names: Sequence[str], rows: int) -> None:
        self._names = names
        self._rows = rows
        self._arrays: dict[str, npt.NDArray[np.float32]] = {}
        self._valid = np.zeros(rows, bool)

    def set(self, row: int, values: Mapping[str, npt.NDArray[Any]]) -> str | None:
        """Set one row.

        Returns:
            The name of the first array that is not finite; the row then stays invalid. None if all are finite.
        """
        if not self._arrays:
            self._arrays = {name: allocate((self._rows, *np.shape(values[name]))) for name in self._names}
        for name, array in self._arrays.items():
            if not np.isfinite(values[name]).all():
                return name
            array[row] = values[name]
        self._valid[row] = True
        return None

    def copy(self, row: int, source: int) -> None:
        """Copy row `source` to `row` if it is valid."""
        if self._valid[source]:
            self.set(row, {name: array[source] for name, array in self._arrays.items()})

    def finish(
        self, kept: npt.NDArray[np.intp]
    ) -> tuple[dict[str, npt.NDArray[np.float32]], npt.NDArray[np.bool_]]:
        """Return the arrays and the mask of valid rows, restricted to the rows `kept` (ascending).

        If no row was set, the row shape is unknown and every array is NaN of shape (n,).
        """
        if not self._arrays:
            self._arrays = {name: allocate((self._rows,)) for name in self._names}
        for array in self._arrays.values():
            array[~self._valid] = np.nan
            for row, original in enumerate(kept):
                if row != original:
                    array[row] = array[original]
        return {name: array[: len(kept)] for name, array in self._arrays.items()}, self._valid[kept]
