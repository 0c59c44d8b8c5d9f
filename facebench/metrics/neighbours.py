"""Metrics on nearest neighbours: precision, recall, density, coverage, authenticity.

All of them ask whether a sample lies in the ball of another set's sample, whose radius is the distance to
that sample's k-th nearest neighbour in its own set (itself, but not its duplicates, left out). Distances are
Euclidean; results equal those of float64 distances exactly, ties included (see `distances`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from facebench.core.errors import InputError
from facebench.metrics.arrays import Array, Floats, Ints, two_matrices
from facebench.metrics.distances import Floats32, Scale, Side, exact, tiles, upwards, where
from facebench.metrics.knn import nearest_neighbours


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
    sets = Sets.of(generated, reference)
    in_reference, in_generated = _inside(sets, radii(sets.generated, k), radii(sets.reference, k), strict)
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
    sets = Sets.of(generated, reference)
    balls, hits = _inside(sets, None, radii(sets.reference, k), True)
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
    sets = Sets.of(generated, reference)
    distance, index = nearest_neighbours(sets.generated, sets.reference, 1)
    own = radii(sets.reference, 1)
    return float(100.0 * (own[index[:, 0]] < distance[:, 0]).mean())


@dataclass(frozen=True)
class Sets:
    """A generated and a reference set made ready for distances in one scale."""

    generated: Side
    reference: Side
    scale: Scale

    @classmethod
    def of(cls, generated: Array, reference: Array) -> Sets:
        """Prepare both sets."""
        scale = Scale.of(generated, reference)
        return cls(Side(generated, scale), Side(reference, scale), scale)


def radii(features: Side, k: int) -> Floats:
    """(n,) squared distance of each row to its k-th nearest other row."""
    return nearest_neighbours(features, features, k)[0][:, k - 1]


def _inside(sets: Sets, of_generated: Floats | None, of_reference: Floats, strict: bool) -> tuple[Ints, Ints]:
    """Count over all pairs who is in whose ball.

    Returns:
        For every generated row the number of reference balls it is in; and for every reference row the
        number of
        generated balls it is in or, when those have no radii, the number of generated rows in its own.
    """
    balls = np.zeros(len(sets.generated.features), dtype=np.int64)
    hits = np.zeros(len(sets.reference.features), dtype=np.int64)
    for rows, columns, tile in tiles(sets.generated, sets.reference):
        mask = _members(tile, sets, rows, columns, of_reference[None, columns], strict)
        balls[rows] += np.count_nonzero(mask, axis=1)
        if of_generated is not None:
            mask = _members(tile, sets, rows, columns, of_generated[rows, None], strict)
        hits[columns] += np.count_nonzero(mask, axis=0)
    return balls, hits


def _members(
    tile: Floats32, sets: Sets, rows: slice, columns: slice, squared_radii: Floats, strict: bool
) -> npt.NDArray[np.bool_]:
    """Which pairs of a tile are at a distance below (or at) the radius that their row or column states."""
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


def _checked(generated: Array, reference: Array, k: int, both: bool = True) -> tuple[Array, Array]:
    if k < 1:
        raise InputError(f"k must be 1 or more, got {k}.")
    generated, reference = two_matrices(generated, reference)
    sides = {"generated": generated, "reference": reference} if both else {"reference": reference}
    for name, rows in sides.items():
        if len(rows) <= k:
            raise InputError(f"{name}: {len(rows)} rows, but k = {k} needs at least {k + 1}.")
    return generated, reference
