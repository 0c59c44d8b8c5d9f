"""Clipped density and coverage without each group of rows in turn, from one pass.

Omission of rows can only increase the radii of the remaining balls. So only pairs nearer than the largest radius of any
omission can matter, and these pairs are few.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from facebench.core.errors import InputError
from facebench.metrics.arrays import Array, Floats, Ints
from facebench.metrics.balls import Sets
from facebench.metrics.clipped_density_coverage import (
    ClippedDensityCoverage,
    real_share,
    squared_median,
)
from facebench.metrics.distances import Side, exact, tiles, upwards, where
from facebench.metrics.knn import nearest_neighbours


def clipped_leave_out(
    generated: Array, reference: Array, labels: tuple[Ints, Ints], groups: int, k: int
) -> list[ClippedDensityCoverage]:
    """Clipped density and coverage without each group; labels in [0, groups)."""
    sets = Sets.of(generated, reference)
    neighbours = _Neighbours.of(sets.reference, labels[1], groups, k)
    radii = np.stack([neighbours.radii(group) for group in range(groups)])
    pairs = _near_pairs(sets, radii.max(axis=0))
    return [_without(group, pairs, neighbours, radii[group], labels) for group in range(groups)]


def _without(
    group: int,
    pairs: tuple[Ints, Ints, Floats],
    neighbours: _Neighbours,
    radii: Floats,
    labels: tuple[Ints, Ints],
) -> ClippedDensityCoverage:
    kept, kept_reference = labels[0] != group, labels[1] != group
    rows, columns, squares = pairs
    clipped = np.minimum(radii, squared_median(radii[kept_reference]))
    both = kept[rows] & kept_reference[columns]
    k = neighbours.k
    hits = np.bincount(columns[both & (squares < radii[columns])], minlength=len(radii))
    balls = np.bincount(rows[both & (squares <= clipped[columns])], minlength=len(kept))
    own = neighbours.own_counts(group, clipped)
    density = float(balls[kept].clip(max=k).mean() / own[kept_reference].clip(max=k).mean())
    reached = float(hits[kept_reference].clip(max=k).mean() / k)
    coverage = real_share(reached, int(kept.sum()), int(kept_reference.sum()), k)
    return ClippedDensityCoverage(min(1.0, density), coverage, density)


@dataclass(frozen=True)
class _Neighbours:
    """Neighbours of every reference row within the reference, deep enough for k of them outside any group.

    Attributes:
        squares: (n, depth) squared distances, ascending.
        index: (n, depth) rows.
        labels: (n,) group of each row.
        k: the number of neighbours.
    """

    squares: Floats
    index: Ints
    labels: Ints
    k: int

    @classmethod
    def of(cls, reference: Side, labels: Ints, groups: int, k: int) -> _Neighbours:
        n = len(labels)
        if n - int(np.bincount(labels).max()) <= k + 1:
            raise InputError(f"{n} rows in {groups} groups are too few for a jackknife with k = {k}.")
        depth = min(n - 1, 3 * k + 12)
        while True:
            found = cls(*nearest_neighbours(reference, reference, depth), labels, k)
            fewest = min(int(found._outside(group).sum(axis=1).min()) for group in range(groups))
            if depth == n - 1 or fewest >= k:
                return found
            depth = min(n - 1, 2 * depth)

    def radii(self, group: int) -> Floats:
        """(n,) squared distance of each row to its k-th nearest other row outside a group."""
        place = np.argmax(np.cumsum(self._outside(group), axis=1) >= self.k, axis=1)
        return np.asarray(np.take_along_axis(self.squares, place[:, None], axis=1)[:, 0])

    def own_counts(self, group: int, clipped: Floats) -> Ints:
        """(n,) number of balls of kept rows in which each row is one of the k neighbours."""
        outside = self._outside(group)
        nearest = outside & (np.cumsum(outside, axis=1) <= self.k) & (self.labels != group)[:, None]
        inside = nearest & (self.squares <= clipped[:, None])
        return np.asarray(np.bincount(self.index[inside], minlength=len(self.labels)))

    def _outside(self, group: int) -> Array:
        return np.asarray(self.labels[self.index] != group)


def _near_pairs(sets: Sets, widest: Floats) -> tuple[Ints, Ints, Floats]:
    """Generated rows, reference rows and squared distances of the pairs within the widest radius."""
    limit = upwards(sets.scale.square(widest))
    parts = []
    for rows, columns, tile in tiles(sets.generated, sets.reference):
        i, j = where(tile <= limit[None, columns])
        i, j = i + rows.start, j + columns.start
        parts.append((i, j, exact(sets.generated.features, sets.reference.features, i, j)))
    points, centres, squares = (np.concatenate(part) for part in zip(*parts, strict=True))
    return points, centres, squares
