"""Which samples lie in the balls of another set: what precision, recall, density and coverage count.

The ball of a row has the row as its centre and, as its radius, the Euclidean distance to the row's k-th nearest other
row in its own set. Duplicates of the row count as other rows. Results equal those of float64 distances exactly,
including ties (see `distances`).
"""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock

import numpy as np
import numpy.typing as npt

from facebench.core.errors import InputError
from facebench.metrics.arrays import Array, Floats, Ints, two_matrices
from facebench.metrics.distances import Floats32, Scale, Side, exact, prepare, upwards, visit_tiles, where
from facebench.metrics.knn import nearest_neighbours


@dataclass(frozen=True)
class Sets:
    """A generated and a reference set, prepared for distances in one scale."""

    generated: Side
    reference: Side
    scale: Scale

    @classmethod
    def of(cls, generated: Array, reference: Array) -> Sets:
        """Prepare both sets."""
        scale, (left, right) = prepare(generated, reference)
        return cls(left, right, scale)


def radii(features: Side, k: int) -> Floats:
    """Return the squared distance of each row to its k-th nearest other row, (n,)."""
    return nearest_neighbours(features, features, k)[0][:, k - 1]


def count_in_balls(
    sets: Sets, of_generated: Floats | None, of_reference: Floats, strict: bool
) -> tuple[Ints, Ints]:
    """Count, over all pairs, which rows lie in which balls.

    Args:
        sets: both sets.
        of_generated: (n,) squared radii of the generated balls; None to count the rows in the reference balls
            instead.
        of_reference: (m,) squared radii of the reference balls.
        strict: exclude rows on the surface of a ball.

    Returns:
        (n,) the number of reference balls that contain each generated row; (m,) the number of generated balls that
        contain each reference row or, without `of_generated`, the number of generated rows in its own ball.
    """
    balls = np.zeros(len(sets.generated.features), dtype=np.int64)
    hits = np.zeros(len(sets.reference.features), dtype=np.int64)
    changing_hits = Lock()

    def count(rows: slice, columns: slice, tile: Floats32) -> None:
        mask = _within(tile, sets, rows, columns, of_reference[None, columns], strict)
        balls[rows] += np.count_nonzero(mask, axis=1)
        if of_generated is not None:
            mask = _within(tile, sets, rows, columns, of_generated[rows, None], strict)
        in_tile = np.count_nonzero(mask, axis=0)
        with changing_hits:
            hits[columns] += in_tile

    visit_tiles(sets.generated, sets.reference, count)
    return balls, hits


def _within(
    tile: Floats32, sets: Sets, rows: slice, columns: slice, squared_radii: Floats, strict: bool
) -> npt.NDArray[np.bool_]:
    """Mask the pairs of a tile whose distance is below (or at) the radius of their row or column."""
    limit = sets.scale.square(squared_radii)
    mask = tile <= upwards(limit)
    i, j = where(mask)
    slack = sets.generated.slack[rows][i] + sets.reference.slack[columns][j]
    upper = tile[i, j].astype(np.float64) + slack
    doubtful = upper >= np.broadcast_to(limit, tile.shape)[i, j] * (1.0 - 1e-6)
    i, j = i[doubtful], j[doubtful]
    squares = exact(sets.generated.features, sets.reference.features, i + rows.start, j + columns.start)
    radius = np.broadcast_to(squared_radii, tile.shape)[i, j]
    mask[i, j] = squares < radius if strict else squares <= radius
    return mask


def check_sets(generated: Array, reference: Array, k: int, both: bool = True) -> tuple[Array, Array]:
    """Check two sets whose balls (of the reference only, unless `both`) need a k-th neighbour.

    Raises:
        InputError: k below 1, too few rows for k, different widths, NaN or infinity.
    """
    if k < 1:
        raise InputError(f"k must be 1 or more, got {k}.")
    generated, reference = two_matrices(generated, reference)
    sides = {"generated": generated, "reference": reference} if both else {"reference": reference}
    for name, rows in sides.items():
        if len(rows) <= k:
            raise InputError(f"{name}: {len(rows)} rows, but k = {k} needs at least {k + 1}.")
    return generated, reference
