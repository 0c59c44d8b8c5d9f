"""Delete-a-group jackknife: for distances between sets and for metrics of nearest neighbours.

    θ ± t · sqrt((G - 1) / G · Σ (θ_g - mean θ)²)

θ_g is the metric without the g-th of G groups of rows. A bootstrap would repeat rows, which these metrics take for
copying.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from facebench.core.errors import InputError
from facebench.metrics.arrays import Array, Ints, matrix, two_matrices
from facebench.metrics.clipped_density_coverage import ClippedDensityCoverage, clipped_density_coverage
from facebench.metrics.density_coverage import DensityCoverage, density_coverage
from facebench.metrics.frechet import frechet_distance, frechet_leave_out, frechet_leave_out_one_side
from facebench.metrics.interval import Interval, Metric, jackknifed, join_notes, numbers, unwrap
from facebench.metrics.intervals.clipped import clipped_leave_out
from facebench.metrics.intervals.neighbours import density_leave_out, precision_leave_out
from facebench.metrics.intervals.shares import share_intervals
from facebench.metrics.kernel_distance import cubic, kernel_distance
from facebench.metrics.membership import membership, membership_leave_out
from facebench.metrics.mind import mind, sliced_leave_out, sliced_wasserstein
from facebench.metrics.mmd import kernel_leave_out
from facebench.metrics.mmd_rbf import gaussian, mmd_rbf, origin
from facebench.metrics.moments import Moments
from facebench.metrics.precision_recall import PrecisionRecall, precision_recall
from facebench.metrics.units import GROUPS, Factor, Units, deal_sides, plural
from facebench.metrics.vendi import vendi_leave_out, vendi_score


def jackknife(
    function: Metric,
    generated: Array,
    *others: Array,
    units: Sequence[Units] | None = None,
    groups: int = GROUPS,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Interval]:
    """Delete-a-group jackknife interval of a metric of one or more sets of features.

    The units of all sides are dealt at random to groups; the metric is computed without the g-th group of every side,
    for every g, and value ± t · sqrt((G - 1) / G · Σ (θ_g - mean θ)²) is the interval, with t of G - 1 degrees of
    freedom. Fréchet, kernel and sliced distances and the neighbour metrics reuse one
    pass over the data for all groups.

    Args:
        function: the metric, such as `frechet_distance` or `functools.partial(precision_recall, k=5)`.
        generated: (n, d) features.
        others: (m, d) features of the reference; (k, d) of a third set; nothing for a metric of one set.
        units: resampling units of the rows of each side; None for independent rows. Of a crossed design the factor
            with fewer units is used.
        groups: most groups; at most half the units of the smaller side.
        seed: seed of the dealing. Equal units and seeds give equal groups, whatever the other side holds.
        level: nominal coverage.

    Returns:
        An interval for every number of the result, by field name; "value" when the result is one number.

    Raises:
        InputError: too few units for two groups, or what the metric raises.

    Source:
        Kott 2001, "The delete-a-group jackknife"; Shao and Tu 1995, section 2.3; clusters: Davison and Hinkley 1997,
        section 3.8.

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> x, y = rng.standard_normal((200, 3)), rng.standard_normal((200, 3)) + 1
        >>> interval = jackknife(frechet_distance, x, y)["value"]
        >>> interval.low < frechet_distance(x, y) < interval.high
        True
    """
    sides = [generated, *(two_matrices(generated, other)[1] for other in others)]
    factors = _factors(sides, units)
    groups = min(groups, *(_most_groups(factor) for factor in factors))
    if groups < 2:
        smallest = min(factors, key=lambda factor: len(factor.names))
        raise InputError(
            f"{len(smallest.names)} {plural(smallest.kind)} are too few for a jackknife; at least 4 are needed."
        )
    labels = deal_sides(factors, groups, seed)
    value = numbers(function(*sides))
    without = _leave_out(function, sides, labels, groups)
    fewest = Units((min(factors, key=lambda factor: factor.effective),))
    found = {
        name: replace(
            jackknifed(number, [each[name] for each in without], level),
            unit=factors[0].kind,
            note=fewest.note,
            units=fewest.effective,
        )
        for name, number in value.items()
        if all(name in each for each in without)
    }
    return share_intervals(function, value, found)


def jackknife_against(
    generated: Array, reference: Moments, *, units: Units, seed: int = 0, level: float = 0.95
) -> dict[str, Interval]:
    """Delete-a-group jackknife interval of the Fréchet distance to a reference of which only moments are known.

    Groups of generated rows are left out; the reference counts as exact.

    Args:
        generated: (n, d) features.
        reference: mean and covariance of the reference.
        units: resampling units of the generated rows.
        seed: seed of the dealing.
        level: nominal coverage.

    Returns:
        The interval under the name "value".

    Raises:
        InputError: too few units for two groups, or other widths of the features.

    Source:
        Kott 2001, "The delete-a-group jackknife".

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> x, y = rng.standard_normal((200, 3)), rng.standard_normal((200, 3)) + 1
        >>> interval = jackknife_against(x, Moments.of(y), units=Units.rows(200))["value"]
        >>> interval.low < frechet_distance(x, y) < interval.high
        True
    """
    rows = matrix(generated, "generated", 2)
    (factor,) = _factors([rows], [units])
    groups = min(GROUPS, _most_groups(factor))
    if groups < 2:
        raise InputError(
            f"{len(factor.names)} {plural(factor.kind)} are too few for a jackknife; at least 4 are needed."
        )
    (labels,) = deal_sides([factor], groups, seed)
    without = frechet_leave_out_one_side(rows, reference, labels, groups)
    found = jackknifed(float(frechet_distance(rows, reference)), without, level)
    note = join_notes(Units((factor,)).note, "the reference counts as exact")
    return {"value": replace(found, unit=factor.kind, note=note, units=factor.effective)}


def _most_groups(factor: Factor) -> int:
    """Two images a group at least; identities and sources may be left out one by one."""
    return len(factor.names) // 2 if factor.kind == "image" else len(factor.names)


def _factors(sides: list[Array], units: Sequence[Units] | None) -> list[Factor]:
    """The factor of each side that is dealt to groups."""
    units = [Units.rows(len(side)) for side in sides] if units is None else units
    for side, each in zip(sides, units, strict=True):
        if len(each.factors[0].codes) != len(side):
            raise InputError(
                f"{len(each.factors[0].codes)} units for {len(side)} rows: give one for each row."
            )
    return [min(each.factors, key=lambda factor: factor.effective) for each in units]


def _leave_out(
    function: Metric, sides: list[Array], labels: list[Ints], groups: int
) -> list[dict[str, float]]:
    metric, parameters = unwrap(function)
    if metric is vendi_score and len(sides) == 1:
        return [numbers(score) for score in vendi_leave_out(sides[0], labels[0], groups, **parameters)]
    quick = _QUICK.get(metric)
    if metric is membership:
        return [numbers(result) for result in membership_leave_out(sides, labels, groups)]
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


def _clipped(
    sides: list[Array], labels: tuple[Ints, Ints], groups: int, k: int = 5
) -> list[ClippedDensityCoverage]:
    return clipped_leave_out(sides[0], sides[1], labels, groups, k)


def _density_coverage(
    sides: list[Array], labels: tuple[Ints, Ints], groups: int, k: int = 5
) -> list[DensityCoverage]:
    return density_leave_out(sides[0], sides[1], labels, groups, k)


def _mind(sides: list[Array], labels: tuple[Ints, Ints], groups: int, **parameters: Any) -> list[float]:
    width = sides[0].shape[1]
    return [3.0 * width * value for value in sliced_leave_out(sides, labels, groups, **parameters)]


def _sliced(sides: list[Array], labels: tuple[Ints, Ints], groups: int, **parameters: Any) -> list[float]:
    return [math.sqrt(value) for value in sliced_leave_out(sides, labels, groups, **parameters)]


_QUICK: Mapping[Metric, Callable[..., Sequence[object]]] = {
    frechet_distance: _frechet,
    kernel_distance: _kid,
    mmd_rbf: _mmd,
    precision_recall: _precision_recall,
    density_coverage: _density_coverage,
    clipped_density_coverage: _clipped,
    mind: _mind,
    sliced_wasserstein: _sliced,
}
