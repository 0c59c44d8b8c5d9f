"""Bootstrap-t interval of a mean over units.

    [m - t*(1 - α/2) · se, m - t*(α/2) · se]        t* = (m* - m) / se*        se² = Σ_g (S_g - m n_g)² / N²

S_g is the sum of the n_g values of unit g, and N the number of values. Percentile and BCa intervals of the mean of
skewed values are too short on the long side. The quantiles of t* are not symmetric and correct it (Efron 1981;
Hesterberg 2015, section 5.4).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from facebench.metrics.arrays import Floats
from facebench.metrics.interval import Interval
from facebench.metrics.units import Units

METHOD = "studentised_bootstrap"
_AT_ONCE = 4_000_000
"""Numbers held in memory at once: 32 MB."""


def studentised_mean(values: Floats, units: Units, other: Interval, resamples: int, seed: int) -> Interval:
    """Bootstrap-t interval of the mean of values, for new units.

    Args:
        values: (n,) numbers.
        units: resampling units. A crossed design has no standard error of this form and keeps the other interval.
        other: interval of the mean by another method, whose level, unit and notes are kept.
        resamples: number of resamples.
        seed: seed of the draws.
    """
    if units.is_crossed:
        return other
    factor = units.factors[0]
    groups = len(factor.names)
    counts = np.bincount(factor.codes, minlength=groups).astype(np.float64)
    mean = float(values.mean())
    sums = np.bincount(factor.codes, values - mean, minlength=groups).astype(np.float64)
    error = float(np.sqrt(sums @ sums)) / len(values)
    if groups < 3 or error == 0:
        return other
    ratios = np.concatenate(list(_ratios(sums, counts, resamples, seed)))
    ratios = ratios[np.isfinite(ratios)]
    tail = (1 - other.level) / 2
    upper, lower = np.quantile(ratios, [1 - tail, tail])
    return replace(
        other,
        low=mean - float(upper) * error,
        high=mean - float(lower) * error,
        method=METHOD,
        resamples=len(ratios),
    )


def _ratios(sums: Floats, counts: Floats, resamples: int, seed: int) -> Iterator[Floats]:
    """t* of the resamples; sums are centred, so that the mean of the sample is 0."""
    rng = np.random.default_rng(seed)
    groups = len(sums)
    terms = np.column_stack([sums, counts, sums**2, sums * counts, counts**2])
    step = max(1, _AT_ONCE // terms.size)
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        drawn = rng.integers(groups, size=(size, groups))
        total, n, squares, products, sizes = terms[drawn].sum(axis=1).T
        mean = total / n
        with np.errstate(divide="ignore", invalid="ignore"):
            yield mean * n / np.sqrt(squares - 2 * mean * products + mean**2 * sizes)
