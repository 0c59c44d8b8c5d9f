"""The k nearest neighbours, exact in float64, from candidates in float32 tiles (see `distances`)."""

from __future__ import annotations

from threading import Lock

import numpy as np

from facebench.metrics.arrays import Floats, Ints
from facebench.metrics.distances import TILE, Floats32, Side, exact, visit_tiles, where

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
    same = points is centres
    searches = {
        start: _Block(points, centres, slice(start, min(start + TILE, n)), k) for start in range(0, n, TILE)
    }

    def add(rows: slice, columns: slice, tile: Floats32) -> None:
        if same and rows == columns:
            np.fill_diagonal(tile, np.inf)
        searches[rows.start].add(tile, columns, axis=1)
        if same and rows != columns:
            searches[columns.start].add(tile, rows, axis=0)

    visit_tiles(points, centres, add)
    found = [search.best for search in searches.values()]
    squares = np.concatenate([best[2] for best in found]).reshape(n, k)
    return squares, np.concatenate([best[1] for best in found]).reshape(n, k)


class _Block:
    """The neighbour search of one block of points: undecided candidates, and the best decided ones.

    Attributes:
        bound: (r, k) the smallest upper bounds so far, ascending; a candidate lies below the last of them.
        best: row, column and squared distance of the k nearest centres of each row, complete after the last tile.
    """

    def __init__(self, points: Side, centres: Side, rows: slice, k: int) -> None:
        self.points, self.centres, self.rows, self.k = points, centres, rows, k
        size = rows.stop - rows.start
        self.bound = np.full((size, k), np.inf, dtype=np.float32)
        self.candidates: list[tuple[Ints, Ints, Floats32]] = []
        self.best = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), np.empty(0)
        self._missing = len(centres.features)
        self._lock = Lock()

    def add(self, tile: Floats32, others: slice, axis: int) -> None:
        """Add the lower bounds of the distances to more centres, which lie along `axis` of the tile."""
        with self._lock:
            self._tighten(tile, self.centres.slack[others], axis)
            limit = self.bound[:, -1]
            places = where(tile <= (limit[:, None] if axis == 1 else limit))
            i, j = places if axis == 1 else places[::-1]
            self.candidates.append((i, j + others.start, tile[places]))
            self._missing -= others.stop - others.start
            if self._missing == 0 or sum(len(part[0]) for part in self.candidates) > _WAITING:
                self._decide()

    def _tighten(self, tile: Floats32, slack: Floats32, axis: int) -> None:
        count, k = tile.shape[axis], self.k
        # The k lowest minima of groups bound the k lowest values, and are found much faster.
        group = 16 if count >= 64 * k and count % 16 == 0 else 1
        grouped = tile.reshape(
            (len(tile), group, count // group) if axis == 1 else (group, count // group, tile.shape[1])
        )
        low = grouped.min(axis=1) if axis == 1 else grouped.min(axis=0).T
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
