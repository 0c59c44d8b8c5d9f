"""Intervals of the leaked share and of its threshold, for new generated faces and new training people.

    threshold  T_low, T_high = quantiles of the training searches at the rates  r² / q_low,  r² / q_high
    share      low  = S − sqrt((S − s_low)² + (S − S(T_high))²)
               high = S + sqrt((s_high − S)² + (S(T_low) − S)²)

r is the stated rate of wrong matches. [q_low, q_high] is the Clopper-Pearson interval of the rate at which new people
reach the threshold, from the training searches; [s_low, s_high] that of the share S at a fixed threshold. Both count
people, not faces, by an effective sample size. S(T) is the share at another threshold.

Source:
    Clopper and Pearson 1934; effective sample size: Korn and Graubard 1998; combination of two sources of variation:
    Zou and Donner 2008 (MOVER). Quantiles through order statistics: David and Nagaraja 2003, section 7.1.
"""

from __future__ import annotations

import math

import numpy as np

from facebench.metrics.arrays import Array, Ints
from facebench.metrics.interval import Interval
from facebench.metrics.leakage import LeakageScores
from facebench.metrics.quantiles import beta_quantile
from facebench.metrics.units import Factor, Units


def leakage_intervals(
    scores: LeakageScores, units: Units | None = None, *, level: float = 0.95
) -> dict[str, Interval]:
    """Return the intervals of `share` and `threshold`.

    Args:
        scores: cosines of the generated faces and of the training searches, from `leakage_scores`.
        units: resampling units of the generated faces; None for independent faces.
        level: nominal coverage.

    Example:
        >>> from facebench.metrics.leakage import leakage_scores
        >>> rng = np.random.default_rng(0)
        >>> training, people = rng.standard_normal((200, 8)), [str(i // 2) for i in range(200)]
        >>> scores = leakage_scores(rng.standard_normal((100, 8)), training, people, rate=0.05)
        >>> interval = leakage_intervals(scores)["share"]
        >>> interval.low < 0.05 < interval.high
        True
    """
    factor = _coarsest(units or Units.rows(len(scores.generated)))
    above = scores.generated >= scores.threshold
    share = float(above.mean())
    low, high = _share_ends(above, factor.codes, level)
    lower, upper = _threshold_ends(scores, level)
    at_upper, at_lower = (float((scores.generated >= end).mean()) for end in (upper, lower))
    ends = (
        max(share - math.hypot(share - low, share - at_upper), 0.0),
        min(share + math.hypot(high - share, at_lower - share), 1.0),
    )
    people = len(set(scores.people.tolist()))
    method = "MOVER of Clopper-Pearson intervals"
    return {
        "share": Interval(*ends, level, method, unit=factor.kind, units=factor.effective),
        "threshold": Interval(
            lower, upper, level, "order statistics of training people", unit="identity", units=float(people)
        ),
    }


def _coarsest(units: Units) -> Factor:
    return min(units.factors, key=lambda factor: factor.effective)


def _threshold_ends(scores: LeakageScores, level: float) -> tuple[float, float]:
    """Thresholds that could have the stated rate for new people."""
    reached = scores.training >= scores.threshold
    low, high = _share_ends(reached, scores.people, level)
    rate, quantile = scores.rate, np.quantile
    most = min(1.0, rate**2 / low) if low > 0 else 1.0
    lower = quantile(scores.training, 1 - most, method="lower")
    upper = quantile(scores.training, 1 - min(1.0, rate**2 / high), method="higher")
    return min(float(lower), scores.threshold), max(float(upper), scores.threshold)


def _share_ends(flags: Array, units: Ints, level: float) -> tuple[float, float]:
    """Clopper-Pearson ends of a share, with the effective number of independent flags."""
    values = np.asarray(flags, dtype=np.float64)
    share, count = float(values.mean()), len(values)
    groups = len(set(units.tolist()))
    trials = float(groups)
    if 0 < share < 1 and groups > 1:
        _, codes = np.unique(units, return_inverse=True)
        sums = np.bincount(codes, values - share)
        variance = groups / (groups - 1) * float(np.square(sums).sum()) / count**2
        trials = min(share * (1 - share) / variance, float(count))
    errors, tail = share * trials, (1 - level) / 2
    low = beta_quantile(tail, errors, trials - errors + 1) if errors > 0 else 0.0
    high = beta_quantile(1 - tail, errors + 1, trials - errors) if errors < trials else 1.0
    return low, high
