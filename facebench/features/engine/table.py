"""The arrays of one network over a whole set, filled row by row."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

IN_MEMORY = 32 * 2**20
"""An array of more bytes than this lies in a temporary file instead of memory."""


def allocate(shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """A float32 array of zeros, in a temporary file that vanishes with it when it is large."""
    if 4 * int(np.prod(shape, dtype=np.int64)) <= IN_MEMORY:
        return np.zeros(shape, np.float32)
    with tempfile.TemporaryFile(prefix="facebench-") as file:
        return np.memmap(file, np.float32, "w+", shape=shape)


class Table:
    """Rows of named float32 arrays; a row that was never set, or is not finite, becomes NaN.

    Args:
        names: of the arrays.
        rows: how many there will be at most.
    """

    def __init__(self, names: Sequence[str], rows: int) -> None:
        self._names = names
        self._rows = rows
        self._arrays: dict[str, npt.NDArray[np.float32]] = {}
        self._valid = np.zeros(rows, bool)

    def set(self, row: int, values: Mapping[str, npt.NDArray[Any]]) -> str | None:
        """Set one row; the name of the first array that is not finite, in which case the row is not valid."""
        if not self._arrays:
            self._arrays = {name: allocate((self._rows, *np.shape(values[name]))) for name in self._names}
        for name, array in self._arrays.items():
            if not np.isfinite(values[name]).all():
                return name
            array[row] = values[name]
        self._valid[row] = True
        return None

    def copy(self, row: int, source: int) -> None:
        """Make `row` equal to another one."""
        if self._valid[source]:
            self.set(row, {name: array[source] for name, array in self._arrays.items()})

    def finish(
        self, kept: npt.NDArray[np.intp]
    ) -> tuple[dict[str, npt.NDArray[np.float32]], npt.NDArray[np.bool_]]:
        """The arrays and the valid rows, restricted to the rows `kept` (ascending).

        When no row was ever set, the shape of a row is unknown and every array is NaN of shape (n,).
        """
        if not self._arrays:
            self._arrays = {name: allocate((self._rows,)) for name in self._names}
        for array in self._arrays.values():
            array[~self._valid] = np.nan
            for row, old in enumerate(kept):
                if row != old:
                    array[row] = array[old]
        return {name: array[: len(kept)] for name, array in self._arrays.items()}, self._valid[kept]
