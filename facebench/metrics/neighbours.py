"""Metrics on nearest neighbours: precision, recall, density, coverage, authenticity.

All of them ask whether a sample lies in the ball of another set's sample, whose radius is the distance to
that sample's k-th nearest neighbour in its own set (itself, but not its duplicates, left out). Distances are
Euclidean; results equal those of float64 distances exactly, ties included (see `distances`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from facebench.errors import InputError
from facebench.metrics.arrays import Array, Floats, Ints, two_matrices
from facebench.metrics.distances import TILE, Floats32, Scale, Side, exact, tiles, where


@dataclass(frozen=True)
class PrecisionRecall:
    """Shares in [0, 1], higher is better: precision for fidelity, recall for variety."""

    precision: float
    recall: float


@dataclass(frozen=True)
class DensityCoverage:
    """Density (about 1 for a perfect generator, may exceed it) and coverage in [0, 1]; higher is better."""

    density: float
    coverage: float


def precision_recall(
    generated: Array, reference: Array, *, k: int = 3, strict: bool = False
) -> PrecisionRecall:
    """Improved precision and recall, shares in [0, 1]; higher is better.

    Precision is the share of generated samples inside at least one reference ball, recall the share of
    reference samples inside at least one generated ball. Inside means distance <= radius as in the original;
    `strict` means distance < radius, which with k = 5 is the precision and recall of PRDC and dgm-eval.

    Args:
        generated: (n, d) features, n > k.
        reference: (m, d) features, m > k. Unequal sizes bias the result.
        k: which nearest neighbour gives the radius.
        strict: leave the surface of the balls out.

    Raises:
        InputError: too few rows for k, different widths, NaN or infinity.

    Source:
        Kynkäänniemi et al. 2019 (arXiv:1904.06991), eq. 1 to 3; strict as Naeem et al. 2020.

    Example:
        >>> import numpy as np
        >>> x = np.arange(8.0)[:, None]
        >>> precision_recall(x, x + 100.0)
        PrecisionRecall(precision=0.0, recall=0.0)
    """
    generated, reference = _checked(generated, reference, k)
    scale = Scale.of(generated, reference)
    in_reference, in_generated = _inside(
        generated, reference, radii(generated, k, scale), radii(reference, k, scale), scale, strict
    )
    return PrecisionRecall(float((in_reference > 0).mean()), float((in_generated > 0).mean()))


def density_coverage(generated: Array, reference: Array, *, k: int = 5) -> DensityCoverage:
    """Density and coverage; higher is better.

    Density is the mean over generated samples of the number of reference balls each is in, divided by k;
    coverage the share of reference samples that have a generated one in their ball. Inside means
    distance < radius.

    Args:
        generated: (n, d) features, n >= 1.
        reference: (m, d) features, m > k.
        k: which nearest neighbour gives the radius.

    Raises:
        InputError: too few rows for k, different widths, NaN or infinity.

    Source:
        Naeem et al. 2020 (arXiv:2002.09797), eq. 3 and 4.

    Example:
        >>> import numpy as np
        >>> x = np.arange(8.0)[:, None]
        >>> density_coverage(x, x, k=2)
        DensityCoverage(density=0.625, coverage=1.0)
    """
    generated, reference = _checked(generated, reference, k, both=False)
    scale = Scale.of(generated, reference)
    balls, hits = _inside(generated, reference, None, radii(reference, k, scale), scale, True)
    return DensityCoverage(float(balls.mean() / k), float((hits > 0).mean()))


def authenticity(generated: Array, reference: Array) -> float:
    """Percentage of generated samples that are authentic (AuthPct), in [0, 100]; higher means less copying.

    A generated sample is authentic when its nearest reference sample lies nearer to another reference sample
    than to it. Among several nearest ones the first counts.

    Args:
        generated: (n, d) features, n >= 1.
        reference: (m, d) features of the training set, m >= 2.

    Raises:
        InputError: too few rows, different widths, NaN or infinity.

    Source:
        Alaa et al. 2022 (arXiv:2102.08921), section 4.3, as percentage after Stein et al. 2023 (dgm-eval).

    Example:
        >>> authenticity([[0.1], [9.0]], [[0.0], [1.0], [2.0]])
        50.0
    """
    generated, reference = _checked(np.asarray(generated), np.asarray(reference), 1, both=False)
    scale = Scale.of(generated, reference)
    distance, index = nearest(generated, reference, 1, scale)
    own = radii(reference, 1, scale)
    return float(100.0 * (own[index[:, 0]] < distance[:, 0]).mean())


def radii(features: Array, k: int, scale: Scale) -> Floats:
    """(n,) squared distance of each row to its k-th nearest other row."""
    return nearest(features, features, k, scale, same=True)[0][:, k - 1]


def nearest(
    points: Array, centres: Array, k: int, scale: Scale, *, same: bool = False
) -> tuple[Floats, Ints]:
    """The k nearest centres of every point.

    Args:
        points: (n, d).
        centres: (m, d), m >= k, or m > k when `same`.
        k: how many.
        scale: of both sets.
        same: points and centres are one set, and no row is its own neighbour.

    Returns:
        (n, k) squared distances in ascending order and (n, k) indices, ties broken by the lower index.
    """
    squares, indices = np.empty((len(points), k)), np.empty((len(points), k), dtype=np.int64)
    found: list[_Found] = []
    for i, j, tile, left, right in tiles(points, centres, scale):
        if same and i == j:
            np.fill_diagonal(tile, np.inf)
        if j == 0:
            bound = np.full((len(tile), k), np.inf, dtype=np.float32)
            found = []
        bound = _tighten(bound, tile, left, right, k)
        found.append(_Found.below(tile, bound[:, -1:], left, j))
        if j + TILE >= len(centres):
            rows = slice(i, i + len(tile))
            squares[rows], indices[rows] = _settle(points[rows], centres, found, bound[:, -1], k)
    return squares, indices


@dataclass(frozen=True)
class _Found:
    """Candidates for neighbours: row in the block, column in the set, lower bound of the squared distance."""

    rows: Ints
    columns: Ints
    lower: Floats32

    @classmethod
    def below(cls, tile: Floats32, bound: Floats32, left: Side, first: int) -> _Found:
        rows, columns = where(tile <= bound)
        return cls(rows, columns + first, tile[rows, columns])


def _tighten(bound: Floats32, tile: Floats32, left: Side, right: Side, k: int) -> Floats32:
    """The k smallest upper bounds seen so far in each row, ascending (infinite where fewer were seen)."""
    width = tile.shape[1]
    group = 16 if width >= 64 * k and width % 16 == 0 else 1
    if group > 1:
        # The k lowest of the groups' minima are found much faster than the k lowest of all, and bound them.
        low = tile.reshape(len(tile), width // group, group).min(axis=2)
        chosen = np.argpartition(low, k - 1, axis=1)[:, :k]
        lower = np.take_along_axis(low, chosen, axis=1)
        slack = right.slack.reshape(-1, group).max(axis=1)[chosen]
    else:
        chosen = np.argpartition(tile, min(k, width) - 1, axis=1)[:, :k]
        lower, slack = np.take_along_axis(tile, chosen, axis=1), right.slack[chosen]
    upper = lower + slack + left.slack[:, None]
    return np.sort(np.concatenate([bound, upper], axis=1), axis=1)[:, :k]


def _settle(
    points: Array, centres: Array, found: list[_Found], bound: Floats32, k: int
) -> tuple[Floats, Ints]:
    """Decide among the candidates of one block of points by exact distances."""
    rows = np.concatenate([part.rows for part in found])
    columns = np.concatenate([part.columns for part in found])
    keep = np.concatenate([part.lower for part in found]) <= bound[rows]
    rows, columns = rows[keep], columns[keep]
    squares = exact(points, centres, rows, columns)
    order = np.lexsort((columns, squares, rows))
    first = np.searchsorted(rows[order], np.arange(len(points)))
    best = order[first[:, None] + np.arange(k)]
    return squares[best], columns[best]


def _inside(
    points: Array, centres: Array, of_points: Floats | None, of_centres: Floats, scale: Scale, strict: bool
) -> tuple[Ints, Ints]:
    """Count over all pairs who is in whose ball.

    Returns:
        For every point the number of centres' balls it is in; and for every centre the number of points'
        balls it is in or, when points have no balls, the number of points in its own.
    """
    balls, hits = np.zeros(len(points), dtype=np.int64), np.zeros(len(centres), dtype=np.int64)
    for i, j, tile, left, right in tiles(points, centres, scale):
        rows, columns = slice(i, i + tile.shape[0]), slice(j, j + tile.shape[1])
        block = (points[rows], centres[columns])
        mask = _members(tile, *block, of_centres[None, columns], scale, strict, left, right)
        balls[rows] += np.count_nonzero(mask, axis=1)
        if of_points is not None:
            mask = _members(tile, *block, of_points[rows, None], scale, strict, left, right)
        hits[columns] += np.count_nonzero(mask, axis=0)
    return balls, hits


def _members(
    tile: Floats32,
    points: Array,
    centres: Array,
    squared_radii: Floats,
    scale: Scale,
    strict: bool,
    left: Side,
    right: Side,
) -> npt.NDArray[np.bool_]:
    """Which pairs of a tile are at a distance below (or at) the radius that their row or column states."""
    limit = scale.square(squared_radii)
    maybe = tile <= upwards(limit)
    rows, columns = where(maybe)
    upper = tile[rows, columns].astype(np.float64) + left.slack[rows] + right.slack[columns]
    limits = np.broadcast_to(limit, tile.shape)[rows, columns]
    doubtful = upper >= limits * (1.0 - 1e-6)
    rows, columns = rows[doubtful], columns[doubtful]
    squares = exact(points, centres, rows, columns)
    radius = np.broadcast_to(squared_radii, tile.shape)[rows, columns]
    maybe[rows, columns] = squares < radius if strict else squares <= radius
    return maybe


def upwards(limit: Floats) -> Floats32:
    """The limit in float32, two steps up, so that its own rounding leaves nothing out."""
    infinity = np.float32(np.inf)
    return np.asarray(np.nextafter(np.nextafter(limit.astype(np.float32), infinity), infinity))


def _checked(generated: Array, reference: Array, k: int, both: bool = True) -> tuple[Array, Array]:
    if k < 1:
        raise InputError(f"k must be 1 or more, got {k}.")
    generated, reference = two_matrices(generated, reference)
    sides = {"generated": generated, "reference": reference} if both else {"reference": reference}
    for name, rows in sides.items():
        if len(rows) <= k:
            raise InputError(f"{name}: {len(rows)} rows, but k = {k} needs at least {k + 1}.")
    return generated, reference
