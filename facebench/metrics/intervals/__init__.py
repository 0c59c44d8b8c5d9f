"""An interval for every number: bootstrap over images, bootstrap over identities, delete-a-group jackknife.

Which one is valid depends on what varies independently:

* a mean over images, a paired delta, an agreement: resample images (`bootstrap_images`);
* verification: resample identities, never pairs, because pairs of one image or person vary together
  (`bootstrap_identities`, or `jackknife_identities` where the pairs are too many to hold);
* Fréchet distance, kernel distances, neighbour metrics, Vendi score: a bootstrap repeats samples, which looks
  like copying to these metrics and shifts them; leaving a group of samples out of both sides does not
  (`jackknife`).

An interval says how far the number would move with other images *of the same count*. It does not hold the
bias that a metric has at that count. Do not trust one from fewer than about 30 images or 10 identities: its
`note` says so.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from facebench.core.errors import InputError
from facebench.metrics.affect import affect_agreement, class_agreement, same_class
from facebench.metrics.arrays import Array, Floats, Ints, two_matrices, vector
from facebench.metrics.diversity import vendi_leave_out, vendi_score
from facebench.metrics.frechet import frechet_distance, frechet_leave_out
from facebench.metrics.intervals.identity import bootstrap_identities, jackknife_identities
from facebench.metrics.intervals.interval import FEW_IMAGES, Interval, few, jackknifed, numbers, percentile
from facebench.metrics.intervals.neighbours import density_leave_out, precision_leave_out
from facebench.metrics.kernel import cubic, gaussian, kernel_distance, kernel_leave_out, mmd_rbf, origin
from facebench.metrics.neighbours import DensityCoverage, PrecisionRecall, density_coverage, precision_recall
from facebench.metrics.summary import cosine_similarity, mean_std, paired_similarity

__all__ = ["Interval", "bootstrap_identities", "bootstrap_images", "jackknife", "jackknife_identities"]

Metric = Callable[..., Any]
"""A function of facebench.metrics, or a functools.partial of one that holds its parameters."""
DRAWN_AT_ONCE = 100_000
"""Numbers that resamples hold in memory together."""


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
    metric, parameters = _unwrap(function)
    if metric is vendi_score and len(sides) == 1:
        return [numbers(score) for score in vendi_leave_out(sides[0], labels[0], groups, **parameters)]
    quick = _QUICK.get(metric)
    if quick is not None and len(sides) == 2 and parameters.get("subsets") is None:
        return [numbers(result) for result in quick(sides, (labels[0], labels[1]), groups, **parameters)]
    kept = ([side[lab != g] for side, lab in zip(sides, labels, strict=True)] for g in range(groups))
    return [numbers(function(*rows)) for rows in kept]


def _unwrap(function: Metric) -> tuple[Metric, dict[str, Any]]:
    if isinstance(function, functools.partial) and not function.args:
        return function.func, dict(function.keywords)
    return function, {}


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


def bootstrap_images(
    function: Metric, *arrays: Array, resamples: int = 1000, seed: int = 0, level: float = 0.95
) -> dict[str, Interval]:
    """Percentile bootstrap over images of a metric that averages over them.

    Args:
        function: the metric, such as `mean_std`, `paired_delta`, `paired_similarity`, `affect_agreement`.
        arrays: its arguments; row i of each belongs to image i, and rows are drawn together.
        resamples: how many resamples.
        seed: of the draws.
        level: of the interval.

    Returns:
        An interval for every number of the result, by field name; "value" when the result is one number.
        Numbers that are undefined in a resample (a correlation of constants) leave it out, and the note says
        so.

    Raises:
        InputError: no rows, unequal lengths, or what the metric raises.

    Source:
        Efron and Tibshirani 1993, chapter 13.

    Example:
        >>> from facebench.metrics import mean_std
        >>> interval = bootstrap_images(mean_std, np.arange(101.0))["mean"]
        >>> 40 < interval.low < 50 < interval.high < 60
        True
    """
    rows = [np.asarray(array) for array in arrays]
    n = len(rows[0])
    if n == 0 or any(len(array) != n for array in rows):
        raise InputError(f"bootstrap_images needs arrays of one length, got {[len(a) for a in rows]}.")
    rng = np.random.default_rng(seed)
    value = numbers(function(*rows))
    chosen = (rng.integers(n, size=n) for _ in range(resamples))
    draws = _resampled(function, rows, chosen, max(1, DRAWN_AT_ONCE // n))
    note = few(n, FEW_IMAGES, "images")
    return {
        name: percentile([draw[name] for draw in draws if name in draw], level, "bootstrap_images", note)
        for name in value
    }


def _resampled(
    function: Metric, rows: list[Array], chosen: Iterator[Ints], at_once: int
) -> list[dict[str, float]]:
    """The metric's numbers in every resample; many resamples in one step where the metric allows it."""
    metric, parameters = _unwrap(function)
    if metric in _PER_ROW and not parameters:
        values = _PER_ROW[metric](*rows)
        parts = (values[at] for at in _stacked(chosen, at_once))
        return _split({"mean": drawn.mean(axis=1), "std": drawn.std(axis=1)} for drawn in parts)
    if metric is affect_agreement and not parameters and all(array.ndim == 1 for array in rows):
        # A resample is a column.
        answers = (affect_agreement(rows[0][at].T, rows[1][at].T) for at in _stacked(chosen, at_once))
        return _split(
            {name: values for name, values in vars(answer).items() if isinstance(values, np.ndarray)}
            for answer in answers
        )
    return [numbers(function(*(array[at] for array in rows))) for at in chosen]


def _stacked(chosen: Iterator[Ints], at_once: int) -> Iterator[Ints]:
    while part := list(itertools.islice(chosen, at_once)):
        yield np.stack(part)


def _split(parts: Iterator[dict[str, Floats]]) -> list[dict[str, float]]:
    """One mapping for each resample, from one array for each number."""
    return [
        dict(zip(part, map(float, draw), strict=True))
        for part in parts
        for draw in zip(*part.values(), strict=True)
    ]


_PER_ROW: Mapping[Metric, Callable[..., Floats]] = {
    mean_std: lambda values: np.asarray(vector(values, "values"), dtype=np.float64),
    paired_similarity: cosine_similarity,
    class_agreement: same_class,
}
"""Metrics that are the mean and deviation of one number per row, which no resample changes."""
