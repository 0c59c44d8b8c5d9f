"""The k nearest neighbours, exact in float64, from candidates in float32 tiles (see `distances`)."""

from __future__ import annotations

import numpy as np

from facebench.metrics.arrays import Floats, Ints
from facebench.metrics.distances import TILE, Floats32, Side, exact, tiles, where

_WAITING = 2_097_152
"""Most undecided candidates of one block of rows: 40 MB."""


def nearest_neighbours(points: Side, centres: Side, k: int) -> tuple[Floats, Ints]:
    """Find the k nearest centres of every point; a point is not its own neighbour when both sets are one object.

    Args:
        points: (n, d), prepared in the scale of both sets.
        centres: (m, d), m >= k, or m > k when it is `points` itself.
        k: number of neighbours.

    Returns:
        (n, k) squared distances in ascending order and (n, k) indices. Ties go to the lower index, except among k or
        more exact copies of a point, of which any may be returned.
    """
    n = len(points.features)
    squares, indices = np.empty((n, k)), np.empty((n, k), dtype=np.int64)
    same = points is centres
    waiting = {
        start: _Block(points, centres, slice(start, min(start + TILE, n)), k) for start in range(0, n, TILE)
    }
    last = (len(centres.features) - 1) // TILE * TILE
    for rows, columns, tile in tiles(points, centres):
        if same and rows == columns:
            np.fill_diagonal(tile, np.inf)
        waiting[rows.start].add(tile, columns)
        if same and rows != columns:
            waiting[columns.start].add(np.ascontiguousarray(tile.T), rows)
        if columns.start == last:
            squares[rows], indices[rows] = waiting.pop(rows.start).result()
    return squares, indices


class _Block:
    """The neighbour search of one block of points: undecided candidates, and the best decided ones.

    Attributes:
        bound: (r, k) the smallest upper bounds so far, ascending; a candidate lies below the last of them.
    """

    def __init__(self, points: Side, centres: Side, rows: slice, k: int) -> None:
        self.points, self.centres, self.rows, self.k = points, centres, rows, k
        size = rows.stop - rows.start
        self.bound = np.full((size, k), np.inf, dtype=np.float32)
        self.candidates: list[tuple[Ints, Ints, Floats32]] = []
        self.best = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), np.empty(0)

    def add(self, tile: Floats32, columns: slice) -> None:
        """Add the lower bounds of the distances to more centres."""
        self._tighten(tile, self.centres.slack[columns])
        i, j = where(tile <= self.bound[:, -1:])
        self.candidates.append((i, j + columns.start, tile[i, j]))
        if sum(len(part[0]) for part in self.candidates) > _WAITING:
            self._decide()

    def result(self) -> tuple[Floats, Ints]:
        """Squared distances (r, k), ascending, and indices of the nearest centres."""
        self._decide()
        _, columns, squares = self.best
        return squares.reshape(-1, self.k), columns.reshape(-1, self.k)

    def _tighten(self, tile: Floats32, slack: Floats32) -> None:
        width, k = tile.shape[1], self.k
        # The k lowest minima of groups bound the k lowest values, and are found much faster.
        group = 16 if width >= 64 * k and width % 16 == 0 else 1
        low = tile.reshape(len(tile), group, width // group).min(axis=1) if group > 1 else tile
        loose = slack.reshape(group, -1).max(axis=0)
        chosen = np.argpartition(low, min(k, low.shape[1]) - 1, axis=1)[:, :k]
        upper = np.take_along_axis(low, chosen, axis=1) + loose[chosen] + self.points.slack[self.rows, None]
        self.bound = np.sort(np.concatenate([self.bound, upper], axis=1), axis=1)[:, :k]

    def _decide(self) -> None:
        """Compute exact distances of the undecided candidates and keep the k best of each row."""
        i, j, lower = (np.concatenate(parts) for parts in zip(*self.candidates, strict=True))
        keep = lower <= self.bound[i, -1]
        i, j, lower = i[keep], j[keep], lower[keep]
        if len(i) > 64 * len(self.bound):
            i, j = self._without_copies(i, j, lower)
        i, j = np.concatenate([self.best[0], i]), np.concatenate([self.best[1], j])
        fresh = slice(len(self.best[0]), None)
        squares = np.concatenate([self.best[2], self._exact(i[fresh], j[fresh])])
        order = np.lexsort((j, squares, i))
        order = order[_ranks(i[order]) < self.k]
        self.best = i[order], j[order], squares[order]
        self.candidates = [(i[:0], j[:0], lower[:0])]
        self._close(self.best[0], self.best[2])

    def _without_copies(self, i: Ints, j: Ints, lower: Floats32) -> tuple[Ints, Ints]:
        """For rows whose k likeliest candidates are exact copies, keep only those: none can be nearer."""
        order = np.lexsort((lower, i))
        i, j = i[order], j[order]
        likely = _ranks(i) < self.k
        zeros = np.bincount(i[likely], self._exact(i[likely], j[likely]) == 0.0, minlength=len(self.bound))
        keep = likely | (zeros[i] < self.k)
        return i[keep], j[keep]

    def _close(self, rows: Ints, squares: Floats) -> None:
        """Stop collecting candidates for rows with k exact copies."""
        zeros = np.bincount(rows, squares == 0.0, minlength=len(self.bound))
        self.bound[zeros >= self.k] = -np.inf

    def _exact(self, i: Ints, j: Ints) -> Floats:
        return exact(self.points.features, self.centres.features, i + self.rows.start, j)


def _ranks(rows: Ints) -> Ints:
    """Position of each entry within its row, for ascending rows."""
    return np.arange(len(rows)) - np.searchsorted(rows, rows)
