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
_PAIRS = 131_072
"""Numbers gathered at once by `exact`, few enough to stay in the processor's cache: 1 MB of float64."""
_KEEP = 67_108_864
"""Numbers of a prepared set that are kept (256 MB of float32); larger sets are prepared tile by tile."""


@dataclass(frozen=True)
class Scale:
    """How rows are centred and scaled before they become float32: (x - centre) / unit.

    Attributes:
        centre: (d,) a point amid the data, which keeps norms, and so the error bound, small. It is a float32
            number, so that centring float32 rows rounds but once.
        unit: a power of two no shorter than the longest centred row, so that nothing overflows.
        gamma: bound on the relative error of a tile.
    """

    centre: Floats
    unit: float
    gamma: float

    @classmethod
    def of(cls, *sets: Array) -> Scale:
        """The scale for distances among these sets."""
        centre = sets[-1][: 4 * TILE].mean(axis=0, dtype=np.float64).astype(np.float32).astype(np.float64)
        longest = max(float(_square_norms(rows, centre).max()) for rows in sets)
        unit = 2.0 ** np.ceil(np.log2(longest) / 2) if longest > 0 else 1.0
        return cls(centre, float(unit), (len(centre) + 64) * 2.0**-24)

    def square(self, lengths: Floats) -> Floats:
        """Squared lengths of the data in the unit of the tiles."""
        return np.asarray(lengths / self.unit**2)


def _square_norms(features: Array, centre: Floats) -> Floats:
    norms = []
    for block in blocks(features):
        block = block - centre
        norms.append(np.einsum("ij,ij->i", block, block))
    return np.concatenate(norms)


class Side:
    """One set made ready for tiles: a left block times a transposed right block is the lower bound.

    Left rows are (-2x, b, 1), right rows (x, 1, b), where b is the squared norm less the error it brings. The
    lower bound plus the slack of the row plus the slack of the column is an upper bound.
    """

    def __init__(self, features: Array, scale: Scale) -> None:
        self.features = features
        self._scale = scale
        squares = scale.square(_square_norms(features, scale.centre))
        # 1e-30 covers what underflow can do to rows that are tiny beside the longest one.
        error = 2.0 * scale.gamma * squares + 1e-30
        self._base = (squares - error).astype(np.float32)
        self.slack = (2.5 * error).astype(np.float32)
        whole = features.shape[0] * features.shape[1] <= _KEEP
        self._rows = self._prepared(slice(0, len(features))) if whole else None

    def right(self, start: int) -> Floats32:
        """Up to TILE prepared rows from `start` on, as columns of a tile."""
        part = slice(start, start + TILE)
        return self._prepared(part) if self._rows is None else self._rows[part]

    def left(self, start: int) -> Floats32:
        """The same as rows of a tile."""
        rows = self.right(start).copy()
        rows[:, :-2] *= -2.0
        rows[:, [-2, -1]] = rows[:, [-1, -2]]
        return rows

    def _prepared(self, part: slice) -> Floats32:
        features = self.features[part]
        rows = np.empty((len(features), features.shape[1] + 2), dtype=np.float32)
        if features.dtype == np.float32:
            np.subtract(features, self._scale.centre.astype(np.float32), out=rows[:, :-2])
            rows[:, :-2] *= np.float32(1.0 / self._scale.unit)
        else:
            rows[:, :-2] = (features.astype(np.float64) - self._scale.centre) / self._scale.unit
        rows[:, -2] = 1.0
        rows[:, -1] = self._base[part]
        return rows


def tiles(points: Side, centres: Side) -> Iterator[tuple[slice, slice, Floats32]]:
    """Go through all pairs of points (rows) and centres (columns) in tiles of lower bounds.

    When both are the same object only tiles on and above the diagonal come.

    Yields:
        Rows, columns and the tile, which is reused for the next one.
    """
    n, m = len(points.features), len(centres.features)
    buffer = np.empty(min(TILE, n) * min(TILE, m), dtype=np.float32)
    for i in range(0, n, TILE):
        left = points.left(i)
        for j in range(i if points is centres else 0, m, TILE):
            right = centres.right(j)
            tile = buffer[: len(left) * len(right)].reshape(len(left), len(right))
            np.matmul(left, right.T, out=tile)
            yield slice(i, i + len(left)), slice(j, j + len(right)), tile


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


def upwards(limit: Floats) -> Floats32:
    """The limit in float32, two steps up, so that its own rounding leaves nothing out."""
    infinity = np.float32(np.inf)
    return np.asarray(np.nextafter(np.nextafter(limit.astype(np.float32), infinity), infinity))
