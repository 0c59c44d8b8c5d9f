"""Ends of intervals of shares near 0 and near the full scale.

Resampling a sample without any error gives an interval of width 0, and a sample with one error gives one that is far
too short. Clopper-Pearson bounds hold there: with x = p · N errors in N independent trials,

    high = Beta⁻¹(1 - α/2; x + 1, N - x)        low = Beta⁻¹(α/2; x, N - x + 1)

N is the effective sample size p (1 - p) / var(p), with the jackknife variance over units, which accounts for units that
hold several images (Korn and Graubard 1998). With fewer than two effective errors that variance is unknown, and N is
the number of units.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import scipy.special

from facebench.metrics.interval import Interval, Metric, jackknife_error, join_notes
from facebench.metrics.quantiles import normal_quantile, t_quantile
from facebench.metrics.registry import entry_of

FEW_ERRORS = 5
"""Effective errors up to which the bound of Clopper and Pearson is used."""
_KNOWN_VARIANCE = 2
"""Effective errors below which the variance over units is unknown."""


def share_interval(value: float, interval: Interval, scale: float = 1.0, rows: float = np.inf) -> Interval:
    """Widen the interval of a share near 0 or near its full scale to the Clopper-Pearson bound.

    The interval keeps its ends where more than five effective errors and successes were seen.

    Args:
        value: a share in [0, scale].
        interval: from resampling, with its effective number of units and its leave-out values.
        scale: full scale, 1 or 100.
        rows: number of images. More trials than images are never assumed: errors of pairs of images depend on few
            images, and their jackknife variance is too small while few errors were seen.

    Returns:
        The interval with low <= value <= high, inside [0, scale]. The method names a bound that was replaced.

    Source:
        Clopper and Pearson 1934; effective sample size: Korn and Graubard 1998, "Confidence intervals for proportions
        with small expected number of positive counts".

    Example:
        >>> round(share_interval(0.0, Interval(0.0, 0.0, 0.95, "bca_bootstrap", units=50)).high, 3)
        0.071
    """
    share = float(np.clip(value / scale, 0, 1))
    low, high = interval.low, interval.high
    trials, known = _trials(share, interval, scale)
    trials = min(trials, max(rows, interval.units))
    tail = (1 - interval.level) / 2
    if share * trials <= FEW_ERRORS:
        high = np.fmax(high, scale * _upper(share, trials, tail))
        low = np.fmin(low, value)
    if (1 - share) * trials <= FEW_ERRORS:
        low = np.fmin(low, scale * (1 - _upper(1 - share, trials, tail)))
        high = np.fmax(high, value)
    low, high = max(float(low), 0.0), min(float(high), scale)
    if (low, high) == (max(interval.low, 0.0), min(interval.high, scale)):
        return replace(interval, low=low, high=high)
    note = interval.note
    if not known and interval.unit != "image":
        note = join_notes(note, "fewer than two errors among the resampled units")
    return replace(interval, low=low, high=high, method=f"{interval.method}, Clopper-Pearson", note=note)


def _trials(share: float, interval: Interval, scale: float) -> tuple[float, bool]:
    """Effective number of trials, and whether it comes from the variance over units."""
    units = max(interval.units, 1.0)
    values = np.asarray([each for each in interval.leave_out if np.isfinite(each)]) / scale
    error = jackknife_error(values.tolist()) if len(values) > 1 else 0.0
    rare = min(share, 1 - share)
    if error == 0 or rare**2 < _KNOWN_VARIANCE * error**2:
        return units, False
    # Fewer degrees of freedom shrink the effective sample size (Korn and Graubard 1998, eq. 3).
    normal, t = normal_quantile(0.975), t_quantile(0.975, max(units - 1, 1))
    return float(share * (1 - share) / error**2 * (normal / t) ** 2), True


def share_intervals(
    function: Metric,
    values: Mapping[str, float],
    intervals: Mapping[str, Interval],
    rows: Mapping[str, float] | None = None,
) -> dict[str, Interval]:
    """Apply `share_interval` to the fields that the registry declares as shares; `rows` are images by field."""
    entry = entry_of(function)
    scales = {} if entry is None else entry.shares
    most = rows or {}
    return {
        name: share_interval(values[name], interval, scales[name], most.get(name, np.inf))
        if name in scales
        else interval
        for name, interval in intervals.items()
    }


def _upper(share: float, trials: float, tail: float) -> float:
    if share >= 1:
        return 1.0
    return float(scipy.special.betaincinv(share * trials + 1, trials * (1 - share), 1 - tail))
