"""Tiles of squared distances in float32 with a proven error bound, so that only doubtful pairs need float64.

A tile is one matrix product of centred, scaled float32 rows. It contains *lower bounds*: the product minus the largest
possible rounding error. For any order of summation that error is below γ (|x| + |y|)² <= 2γ (|x|² + |y|²) with
γ about d u, u = 2^-24 (Higham 2002, section 3.1). The upper bound is the lower bound plus a term of the row and a term
of the column. Pairs that the bounds do not decide go to `exact`, which sums squared differences in float64. This is
the definition, under which equal pairs tie exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from facebench.metrics.arrays import Array, Floats, Ints, blocks
from facebench.metrics.linalg import in_threads

Floats32 = npt.NDArray[np.float32]

TILE = 2048
"""Rows and columns of a tile."""
_PAIRS = 131_072
"""Numbers gathered at once by `exact`, few enough to fit the cache: 1 MB of float64."""
_KEEP = 67_108_864
"""Most numbers of a prepared set that stay in memory (256 MB of float32); larger sets are prepared tile by tile."""


@dataclass(frozen=True)
class Scale:
    """Centring and scaling of rows before conversion to float32: (x - centre) / unit.

    Attributes:
        centre: (d,) a point inside the data, which keeps norms, and so the error bound, small. It is representable in
            float32, so that centring float32 rows rounds only once.
        unit: a power of two at least as long as the longest centred row, so that nothing overflows.
        gamma: bound on the relative error of a tile.
    """

    centre: Floats
    unit: float
    gamma: float

    def square(self, lengths: Floats) -> Floats:
        """Convert squared lengths of the data to the unit of the tiles."""
        return np.asarray(lengths / self.unit**2)


def prepare(*sets: Array) -> tuple[Scale, list[Side]]:
    """Prepare sets for distances among them, in one scale."""
    centre = sets[-1][: 4 * TILE].mean(axis=0, dtype=np.float64).astype(np.float32).astype(np.float64)
    lengths = [_square_norms(rows, centre) for rows in sets]
    longest = max(float(squares.max()) for squares in lengths)
    unit = 2.0 ** np.ceil(np.log2(longest) / 2) if longest > 0 else 1.0
    scale = Scale(centre, float(unit), (len(centre) + 64) * 2.0**-24)
    return scale, [Side(rows, squares, scale) for rows, squares in zip(sets, lengths, strict=True)]


def _square_norms(features: Array, centre: Floats) -> Floats:
    norms = []
    for block in blocks(features):
        block = block - centre
        norms.append(np.einsum("ij,ij->i", block, block))
    return np.concatenate(norms)


class Side:
    """One set prepared for tiles: a left block times a transposed right block is the lower bound.

    Left rows are (-2x, b, 1) and right rows (x, 1, b), where b is the squared norm minus its error bound. The lower
    bound plus the slack of the row plus the slack of the column is an upper bound.

    Args:
        features: (n, d) rows.
        lengths: (n,) squared distances of the rows from the centre of the scale.
        scale: the scale of all sets.
    """

    def __init__(self, features: Array, lengths: Floats, scale: Scale) -> None:
        self.features = features
        self._scale = scale
        squares = scale.square(lengths)
        # 1e-30 covers underflow in rows that are tiny compared with the longest one.
        error = 2.0 * scale.gamma * squares + 1e-30
        self._base = (squares - error).astype(np.float32)
        self.slack = (2.5 * error).astype(np.float32)
        whole = features.shape[0] * features.shape[1] <= _KEEP
        self._rows = self._prepared(slice(0, len(features))) if whole else None

    def right(self, start: int) -> Floats32:
        """Return up to TILE prepared rows from `start` on, as columns of a tile."""
        part = slice(start, start + TILE)
        return self._prepared(part) if self._rows is None else self._rows[part]

    def left(self, start: int) -> Floats32:
        """Return the same rows as rows of a tile."""
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
    """Yield all pairs of points (rows) and centres (columns) in tiles of lower bounds.

    When both are the same object, only tiles on and above the diagonal are yielded.

    Yields:
        Rows, columns and the tile, whose memory is reused by the next one.
    """
    for start in range(0, len(points.features), TILE):
        yield from _tiles_of_rows(points, centres, start)


def visit_tiles(points: Side, centres: Side, visit: Callable[[slice, slice, Floats32], None]) -> None:
    """Call `visit(rows, columns, tile)` for every tile of `tiles`, from several threads at once.

    One thread visits all tiles of a block of rows, so only what `visit` changes per column needs a lock.
    """
    starts = range(0, len(points.features), TILE)

    def visit_rows(number: int) -> float:
        for tile in _tiles_of_rows(points, centres, starts[number]):
            visit(*tile)
        return 0.0

    if len(starts) == 1:
        visit_rows(0)
    else:
        in_threads(visit_rows, len(starts))


def _tiles_of_rows(points: Side, centres: Side, start: int) -> Iterator[tuple[slice, slice, Floats32]]:
    left, m = points.left(start), len(centres.features)
    buffer = np.empty(len(left) * min(TILE, m), dtype=np.float32)
    for j in range(start if points is centres else 0, m, TILE):
        right = centres.right(j)
        tile = buffer[: len(left) * len(right)].reshape(len(left), len(right))
        np.matmul(left, right.T, out=tile)
        yield slice(start, start + len(left)), slice(j, j + len(right)), tile


def exact(points: Array, centres: Array, rows: Ints, columns: Ints) -> Floats:
    """Compute squared distances of the given pairs by definition: float64 sums of squared differences."""
    result = np.empty(len(rows))
    step = max(1, _PAIRS // points.shape[1])
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        gap = points[rows[part]].astype(np.float64)
        gap -= centres[columns[part]]
        result[part] = np.einsum("ij,ij->i", gap, gap)
    return result


def where(mask: npt.NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """Return rows and columns of the true entries of a mostly false mask."""
    flat = np.flatnonzero(mask)
    return np.divmod(flat, mask.shape[1])


def upwards(limit: Floats) -> Floats32:
    """Round a limit up to float32 by two steps, so that no pair below it is excluded."""
    infinity = np.float32(np.inf)
    return np.asarray(np.nextafter(np.nextafter(limit.astype(np.float32), infinity), infinity))
