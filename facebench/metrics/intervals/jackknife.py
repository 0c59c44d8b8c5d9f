"""Delete-a-group jackknife: for distances between sets and for metrics of nearest neighbours.

    θ ± t · sqrt((G - 1) / G · Σ (θ_g - mean θ)²)

θ_g is the metric without the g-th of G groups of rows. A bootstrap would repeat rows, which these metrics take for
copying.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from facebench.core.errors import InputError
from facebench.metrics.arrays import Array, Ints, two_matrices
from facebench.metrics.density_coverage import DensityCoverage, density_coverage
from facebench.metrics.frechet import frechet_distance, frechet_leave_out
from facebench.metrics.intervals.interval import (
    FEW_IMAGES,
    Interval,
    Metric,
    few,
    jackknifed,
    numbers,
    unwrap,
)
from facebench.metrics.intervals.neighbours import density_leave_out, precision_leave_out
from facebench.metrics.kernel_distance import cubic, kernel_distance
from facebench.metrics.mmd import kernel_leave_out
from facebench.metrics.mmd_rbf import gaussian, mmd_rbf, origin
from facebench.metrics.precision_recall import PrecisionRecall, precision_recall
from facebench.metrics.vendi import vendi_leave_out, vendi_score


def jackknife(
    function: Metric,
    generated: Array,
    reference: Array | None = None,
    *,
    groups: int = 20,
    seed: int = 0,
    level: float = 0.95,
    within: tuple[float, float] = (-np.inf, np.inf),
    paired: bool = False,
) -> dict[str, Interval]:
    """Delete-a-group jackknife interval of a metric of one or two sets of features.

    Rows of both sides are dealt at random to `groups` groups; the metric is computed without the g-th group
    of both sides, for every g, and value ± t · sqrt((G - 1) / G · Σ (θ_g - mean θ)²) is the interval, with t
    of G - 1 degrees of freedom. Fréchet and kernel distances and the neighbour metrics reuse one pass over
    the data for all groups.

    Args:
        function: the metric, such as `frechet_distance` or `functools.partial(precision_recall, k=5)`.
        generated: (n, d) features.
        reference: (m, d) features, or None for a metric of one set.
        groups: how many groups, at most half the rows of the smaller side.
        seed: of the dealing.
        level: of the interval.
        within: range of the metric, beyond which no end may lie ((0, 1) for shares).
        paired: row i of both sides belongs together (an edit and its source), so they are left out together.

    Returns:
        An interval for every number of the result, by field name; "value" when the result is one number.

    Raises:
        InputError: too few rows for two groups, or what the metric raises.

    Source:
        Kott 2001, "The delete-a-group jackknife"; Shao and Tu 1995, section 2.3.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> x, y = rng.standard_normal((200, 3)), rng.standard_normal((200, 3)) + 1
        >>> interval = jackknife(frechet_distance, x, y)["value"]
        >>> interval.low < frechet_distance(x, y) < interval.high
        True
    """
    sides = [generated] if reference is None else list(two_matrices(generated, reference))
    smallest = min(len(side) for side in sides)
    groups = min(groups, smallest // 2)
    if groups < 2:
        raise InputError(f"{smallest} rows are too few for a jackknife; at least 4 are needed.")
    if paired and len({len(side) for side in sides}) > 1:
        raise InputError("paired sides need equal numbers of rows.")
    rng = np.random.default_rng(seed)
    labels = [rng.permutation(len(side)) % groups for side in sides]
    if paired:
        labels = labels[:1] * len(sides)
    value = numbers(function(*sides))
    replicates = _leave_out(function, sides, labels, groups)
    note = few(smallest, FEW_IMAGES, "images")
    return {
        name: jackknifed(number, [r[name] for r in replicates], level, within, "jackknife", note)
        for name, number in value.items()
        if all(name in r for r in replicates)
    }


def _leave_out(
    function: Metric, sides: list[Array], labels: list[Ints], groups: int
) -> list[dict[str, float]]:
    metric, parameters = unwrap(function)
    if metric is vendi_score and len(sides) == 1:
        return [numbers(score) for score in vendi_leave_out(sides[0], labels[0], groups, **parameters)]
    quick = _QUICK.get(metric)
    if quick is not None and len(sides) == 2 and parameters.get("subsets") is None:
        return [numbers(result) for result in quick(sides, (labels[0], labels[1]), groups, **parameters)]
    kept = ([side[lab != g] for side, lab in zip(sides, labels, strict=True)] for g in range(groups))
    return [numbers(function(*rows)) for rows in kept]


def _frechet(sides: list[Array], labels: tuple[Ints, Ints], groups: int) -> list[float]:
    return frechet_leave_out(sides[0], sides[1], labels, groups)


def _kid(sides: list[Array], labels: tuple[Ints, Ints], groups: int, **_: object) -> list[float]:
    kernel = cubic(sides[0].shape[1])
    return kernel_leave_out(sides[0], sides[1], kernel, labels, groups, biased=False)


def _mmd(
    sides: list[Array],
    labels: tuple[Ints, Ints],
    groups: int,
    sigma: float = 10.0,
    scale: float = 1000.0,
    biased: bool = True,
) -> list[float]:
    kernel = gaussian(sigma, origin(sides[0], sides[1]))
    values = kernel_leave_out(sides[0], sides[1], kernel, labels, groups, biased)
    return [scale * value for value in values]


def _precision_recall(
    sides: list[Array], labels: tuple[Ints, Ints], groups: int, k: int = 3, strict: bool = False
) -> list[PrecisionRecall]:
    return precision_leave_out(sides[0], sides[1], labels, groups, k, strict)


def _density_coverage(
    sides: list[Array], labels: tuple[Ints, Ints], groups: int, k: int = 5
) -> list[DensityCoverage]:
    return density_leave_out(sides[0], sides[1], labels, groups, k)


_QUICK: Mapping[Metric, Callable[..., Sequence[object]]] = {
    frechet_distance: _frechet,
    kernel_distance: _kid,
    mmd_rbf: _mmd,
    precision_recall: _precision_recall,
    density_coverage: _density_coverage,
}
