"""Clipped density and clipped coverage: two scores in [0, 1] that outliers and copies cannot inflate.

    density  = min(1, S(generated) / S(reference)),   S(X) = mean_x min(1, |{r ≠ x : |x - r| <= C(r)}| / k)
    coverage = f⁻¹(u),   u = Σ_r min(k, |{g : |g - r| < R(r)}|) / (k n),   f(m) = E[min(k, J_m)] / k

R(r) is the distance of the reference row r to its k-th nearest other reference row, C(r) = min(R(r), median of R), n
the number of reference rows and m the number of generated rows. J_m, the number of m real rows in one ball, has a
beta-binomial distribution with parameters k and n - k. f⁻¹ is the share of real rows that gives the same u.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.special

from facebench.core.errors import InputError
from facebench.metrics.arrays import Array, Floats, Ints
from facebench.metrics.balls import Sets, check_sets, count_in_balls
from facebench.metrics.knn import nearest_neighbours


@dataclass(frozen=True)
class ClippedDensityCoverage:
    """Clipped density (fidelity) and clipped coverage (variety); higher is better.

    Attributes:
        density: in [0, 1]; about the share of generated rows that are as typical as reference rows.
        coverage: in [0, 1]; the share of real rows that would reach as many reference rows.
        unclamped_density: the density before the limit of 1; 1.3 and more for a copy of the reference.
    """

    density: float
    coverage: float
    unclamped_density: float


def clipped_density_coverage(generated: Array, reference: Array, k: int = 5) -> ClippedDensityCoverage:
    """Clipped density and clipped coverage of a generated set, in [0, 1]; higher is better.

    Both are calibrated: a set with a share x of bad rows scores about 1 - x. Surfaces of balls count for the density
    (distance <= radius) and do not count for the coverage (distance < radius), as in the paper. S(reference) counts
    only the k neighbours that define each radius: of rows tied at the k-th distance, the first, as in the paper's code.

    Args:
        generated: (m, d) features, m >= k.
        reference: (n, d) features, n > k + 1.
        k: the nearest neighbour that sets the radius.

    Raises:
        InputError: too few rows for k, different widths, NaN or infinity, reference rows that are all equal.

    Source:
        Salvy et al. 2025 (arXiv:2507.01761, ICLR 2026).

    Example:
        >>> x = np.random.default_rng(0).standard_normal((200, 4))
        >>> clipped_density_coverage(x[:100], x[100:]).density > 0.8
        True
        >>> clipped_density_coverage(x[:100] + 100, x[100:])
        ClippedDensityCoverage(density=0.0, coverage=0.0, unclamped_density=0.0)
    """
    generated, reference = _check(generated, reference, k)
    sets = Sets.of(generated, reference)
    squares, neighbours = nearest_neighbours(sets.reference, sets.reference, k)
    _, hits = count_in_balls(sets, None, squares[:, -1], strict=True)
    reached = float(hits.clip(max=k).mean() / k)
    density = _density(sets, squares, neighbours, k)
    return ClippedDensityCoverage(
        min(1.0, density), real_share(reached, len(generated), len(reference), k), density
    )


def _check(generated: Array, reference: Array, k: int) -> tuple[Array, Array]:
    generated, reference = check_sets(generated, reference, k, both=False)
    for name, rows, smallest in (("generated", generated, k), ("reference", reference, k + 2)):
        if len(rows) < smallest:
            raise InputError(f"{name}: {len(rows)} rows, but k = {k} needs at least {smallest}.")
    if not np.any(np.ptp(reference, axis=0)):
        raise InputError("reference: all rows are equal, so every ball has radius 0. Give different images.")
    return generated, reference


def _density(sets: Sets, squares: Floats, neighbours: Ints, k: int) -> float:
    """Density before the limit of 1.

    Args:
        sets: both sets.
        squares: (n, k) squared distances of each reference row to its neighbours.
        neighbours: (n, k) rows of these neighbours.
        k: the number of neighbours.
    """
    clipped = np.minimum(squares[:, -1], squared_median(squares[:, -1]))
    inside = neighbours[squares <= clipped[:, None]]
    own = np.bincount(inside, minlength=len(squares))
    balls, _ = count_in_balls(sets, None, clipped, strict=False)
    return float(balls.clip(max=k).mean() / own.clip(max=k).mean())


def squared_median(squares: Floats) -> float:
    """Square of the median distance, without rounding where a row has exactly this distance."""
    middle = np.sort(squares)[[(len(squares) - 1) // 2, len(squares) // 2]]
    return float(middle[0] if middle[0] == middle[1] else np.square(np.sqrt(middle).mean()))


def real_share(reached: float, generated: int, reference: int, k: int) -> float:
    """Calibrate an uncalibrated coverage: the smallest share of real rows that is expected to reach as much.

    Args:
        reached: the uncalibrated coverage u, in [0, 1].
        generated: number m of generated rows.
        reference: number n of reference rows.
        k: the nearest neighbour that sets the radius.

    Returns:
        A multiple of 1 / (m + 1); 1 when u exceeds the expectation f(m) of a set of real rows.
    """
    return float(np.searchsorted(expected_reach(generated, reference, k), reached) / (generated + 1))


def expected_reach(generated: int, reference: int, k: int) -> Floats:
    """Expected uncalibrated coverage f(m) of m = 0 ... `generated` real rows; 0 below k rows, as in the paper's code.

    f(m) = 1 - Σ_{j<k} (1 - j / k) P(J_m = j) for the beta-binomial number J_m of rows in a ball.
    """
    m, j = np.arange(generated + 1.0)[:, None], np.arange(float(k))
    log_choose = -np.log(m + 1) - scipy.special.betaln(np.maximum(m - j, 0.0) + 1, j + 1)
    log_share = log_choose + scipy.special.betaln(k + j, reference + np.maximum(m - j, 0.0) - k)
    share = np.exp(log_share - scipy.special.betaln(k, reference - k))
    reach = 1.0 - np.where(j <= m, share * (1 - j / k), 0.0).sum(axis=1)
    reach[:k] = 0.0
    return np.asarray(reach, dtype=np.float64)
