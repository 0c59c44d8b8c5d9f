"""Precision, recall, density and coverage without each group of rows in turn, from one pass.

Leaving rows out can only widen the balls of the others. So the pairs nearer than the widest radius that any
omission gives are the only ones that ever matter, and they are few.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from facebench.core.errors import InputError
from facebench.metrics.arrays import Array, Floats, Ints
from facebench.metrics.balls import Sets
from facebench.metrics.density_coverage import DensityCoverage
from facebench.metrics.distances import Scale, Side, exact, tiles, upwards, where
from facebench.metrics.knn import nearest_neighbours
from facebench.metrics.precision_recall import PrecisionRecall

Flags = npt.NDArray[np.bool_]


def precision_leave_out(
    generated: Array, reference: Array, labels: tuple[Ints, Ints], groups: int, k: int, strict: bool
) -> list[PrecisionRecall]:
    """Precision and recall without each group; arguments as in `precision_recall`, labels in [0, groups)."""
    sets = Sets.of(generated, reference)
    swapped = (labels[1], labels[0])
    in_reference = _Members.of(
        sets.generated, sets.reference, labels, radii_without(sets.reference, labels[1], groups, k)
    )
    in_generated = _Members.of(
        sets.reference, sets.generated, swapped, radii_without(sets.generated, labels[0], groups, k)
    )
    for members in (in_reference, in_generated):
        members.fill(sets.scale, strict)
    return [
        PrecisionRecall(
            _share(in_reference.points[g], labels[0] != g), _share(in_generated.points[g], labels[1] != g)
        )
        for g in range(groups)
    ]


def density_leave_out(
    generated: Array, reference: Array, labels: tuple[Ints, Ints], groups: int, k: int
) -> list[DensityCoverage]:
    """Density and coverage without each group; arguments as in `density_coverage`, labels in [0, groups)."""
    sets = Sets.of(generated, reference)
    members = _Members.of(
        sets.generated, sets.reference, labels, radii_without(sets.reference, labels[1], groups, k)
    )
    members.fill(sets.scale, strict=True)
    return [
        DensityCoverage(
            float(members.pairs[g] / (np.count_nonzero(labels[0] != g) * k)),
            _share(members.centres[g], labels[1] != g),
        )
        for g in range(groups)
    ]


def _share(flags: Flags, kept: Flags) -> float:
    return float(np.count_nonzero(flags & kept) / np.count_nonzero(kept))


def radii_without(features: Side, labels: Ints, groups: int, k: int) -> Floats:
    """(groups, n) squared distance of each row to its k-th nearest other row outside each group."""
    if len(labels) - int(np.bincount(labels).max()) <= k:
        raise InputError(f"{len(labels)} rows in {groups} groups are too few for a jackknife with k = {k}.")
    depth = min(len(labels) - 1, 3 * k + 12)
    while True:
        squares, index = nearest_neighbours(features, features, depth)
        neighbours = labels[index]
        outside = [np.cumsum(neighbours != group, axis=1) for group in range(groups)]
        if depth == len(labels) - 1 or min(int(count[:, -1].min()) for count in outside) >= k:
            break
        depth = min(len(labels) - 1, 2 * depth)
    places = [np.argmax(count >= k, axis=1)[:, None] for count in outside]
    return np.stack([np.take_along_axis(squares, place, axis=1)[:, 0] for place in places])


@dataclass(frozen=True)
class _Members:
    """Who is in whose ball, per group left out.

    Attributes:
        sides: points and centres.
        labels: group of each point and of each centre.
        radii: (groups, m) squared radii of the centres without each group.
        points: (groups, n) whether a point is in any ball.
        centres: (groups, m) whether a centre has any point in its ball.
        pairs: (groups,) number of points in balls.
    """

    sides: tuple[Side, Side]
    labels: tuple[Ints, Ints]
    radii: Floats
    points: Flags
    centres: Flags
    pairs: Ints

    @classmethod
    def of(cls, points: Side, centres: Side, labels: tuple[Ints, Ints], radii: Floats) -> _Members:
        groups = len(radii)
        in_ball = np.zeros((groups, len(points.features)), dtype=bool)
        has_points = np.zeros((groups, len(centres.features)), dtype=bool)
        return cls((points, centres), labels, radii, in_ball, has_points, np.zeros(groups, dtype=np.int64))

    def fill(self, scale: Scale, strict: bool) -> None:
        widest = upwards(scale.square(self.radii.max(axis=0)))
        for part, others, tile in tiles(*self.sides):
            rows, columns = where(tile <= widest[others])
            rows, columns = rows + part.start, columns + others.start
            squares = exact(self.sides[0].features, self.sides[1].features, rows, columns)
            for group, radii in enumerate(self.radii):
                inside = squares < radii[columns] if strict else squares <= radii[columns]
                inside &= (self.labels[0][rows] != group) & (self.labels[1][columns] != group)
                self.points[group, rows[inside]] = True
                self.centres[group, columns[inside]] = True
                self.pairs[group] += np.count_nonzero(inside)
