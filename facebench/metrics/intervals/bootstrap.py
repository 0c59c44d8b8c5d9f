"""Bootstrap over images: for metrics that average over independent images.

The rows of all arrays are drawn with replacement, together, and the metric is computed on every draw; the interval
runs between two percentiles of the results.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from facebench.core.errors import InputError
from facebench.metrics.affect_agreement import affect_agreement
from facebench.metrics.arrays import Array, Floats, Ints, vector
from facebench.metrics.class_agreement import class_agreement, same_class
from facebench.metrics.intervals.interval import (
    FEW_IMAGES,
    Interval,
    Metric,
    few,
    numbers,
    percentile,
    unwrap,
)
from facebench.metrics.mean_std import mean_std
from facebench.metrics.paired import cosine_similarity, paired_similarity

DRAWN_AT_ONCE = 100_000
"""Numbers held in memory at once by the resamples."""


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
    metric, parameters = unwrap(function)
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
