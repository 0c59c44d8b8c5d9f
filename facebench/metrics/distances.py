"""Tiles of squared distances in float32 with a proved error bound, so that only doubtful pairs need float64.

Tiles come from one matrix product of centred, scaled float32 rows. What they hold is a *lower bound*: the
product minus the largest error that rounding can have made, which for any order of summation is below
γ (|x| + |y|)² <= 2γ (|x|² + |y|²) with γ about d u, u = 2^-24 (Higham 2002, section 3.1). An upper bound is
the lower one plus a term for the row and a term for the column. Whatever the bounds leave open is decided by
`exact`, which sums squared differences in float64: the definition, in which equal pairs tie exactly.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from facebench.metrics.arrays import Array, Floats, Ints, blocks

Floats32 = npt.NDArray[np.float32]

TILE = 2048
"""Rows and columns of a tile."""
_PAIRS = 2_097_152
"""Numbers gathered at once by `exact`: 16 MB of float64 a side."""


@dataclass(frozen=True)
class Scale:
    """How rows are centred and scaled before they become float32: (x - centre) / unit.

    Attributes:
        centre: (d,) a point amid the data, which keeps norms, and so the error bound, small.
        unit: a power of two at least as large as the longest centred row, so that nothing overflows.
        gamma: bound on the relative error of a tile.
    """

    centre: Floats
    unit: float
    gamma: float

    @classmethod
    def of(cls, *sets: Array) -> Scale:
        """The scale for distances among these sets."""
        centre = np.asarray(sets[-1][: 4 * TILE].mean(axis=0, dtype=np.float64))
        longest = max(
            float(np.square(block - centre).sum(axis=1).max()) for rows in sets for block in blocks(rows)
        )
        unit = 2.0 ** np.ceil(np.log2(longest) / 2) if longest > 0 else 1.0
        return cls(centre, float(unit), (len(centre) + 64) * 2.0**-24)

    def square(self, lengths: Floats) -> Floats:
        """Squared lengths of the data in the unit of the tiles."""
        return np.asarray(lengths / self.unit**2)


@dataclass(frozen=True)
class Side:
    """Rows ready for a tile: extended so that the product of a left and a right side is the lower bound.

    Attributes:
        rows: (n, d + 2) float32.
        slack: (n,) float32; lower bound + slack of the row + slack of the column is an upper bound.
    """

    rows: Floats32
    slack: Floats32

    @classmethod
    def left(cls, features: Array, scale: Scale) -> Side:
        """The side whose items are the rows of a tile."""
        rows, base, slack = _scaled(features, scale)
        return cls(np.concatenate([-2 * rows, base, np.ones_like(base)], axis=1), slack)

    @classmethod
    def right(cls, features: Array, scale: Scale) -> Side:
        """The side whose items are the columns of a tile."""
        rows, base, slack = _scaled(features, scale)
        return cls(np.concatenate([rows, np.ones_like(base), base], axis=1), slack)


def _scaled(features: Array, scale: Scale) -> tuple[Floats32, Floats32, Floats32]:
    exact_rows = (np.asarray(features, dtype=np.float64) - scale.centre) / scale.unit
    squares = np.einsum("ij,ij->i", exact_rows, exact_rows)
    # 1e-30 covers what underflow can do to rows that are tiny beside the longest one.
    error = 2.0 * scale.gamma * squares + 1e-30
    base = (squares - error).astype(np.float32)[:, None]
    return exact_rows.astype(np.float32), base, (2.5 * error).astype(np.float32)


def tiles(points: Array, centres: Array, scale: Scale) -> Iterator[tuple[int, int, Floats32, Side, Side]]:
    """Go through all pairs of points (rows) and centres (columns) in tiles.

    Yields:
        First row, first column, the tile of lower bounds (reused for the next one), left and right side.
    """
    buffer = np.empty((min(TILE, len(points)), min(TILE, len(centres))), dtype=np.float32).reshape(-1)
    for i in range(0, len(points), TILE):
        left = Side.left(points[i : i + TILE], scale)
        for j in range(0, len(centres), TILE):
            right = Side.right(centres[j : j + TILE], scale)
            shape = (len(left.rows), len(right.rows))
            tile = buffer[: shape[0] * shape[1]].reshape(shape)
            np.matmul(left.rows, right.rows.T, out=tile)
            yield i, j, tile, left, right


def exact(points: Array, centres: Array, rows: Ints, columns: Ints) -> Floats:
    """Squared distances of the given pairs as defined: float64 sums of squared differences."""
    result = np.empty(len(rows))
    step = max(1, _PAIRS // points.shape[1])
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        gap = points[rows[part]].astype(np.float64)
        gap -= centres[columns[part]]
        result[part] = np.einsum("ij,ij->i", gap, gap)
    return result


def where(mask: npt.NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """Rows and columns of the true entries of a mostly false mask."""
    flat = np.flatnonzero(mask)
    return np.divmod(flat, mask.shape[1])
