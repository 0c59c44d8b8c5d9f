"""BCa bootstrap interval with expanded levels.

The percentile interval is too short for few units and off centre for skewed statistics. BCa moves its two levels by a
bias correction z₀ and an acceleration a:

    α' = Φ(z₀ + (z₀ + z) / (1 - a (z₀ + z)))        z = ∓ sqrt(n / (n - 1)) · t_{n-1, 1-α/2}

Expanded levels use the quantile of Student's t, with the factor sqrt(n / (n - 1)), in place of the normal quantile
(Efron 1987; Hesterberg 2015, "What teachers should know about the bootstrap", section 5.3).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.special

from facebench.metrics.arrays import Floats
from facebench.metrics.interval import Interval, join_notes

METHOD = "bca_bootstrap"
_MOST_BIAS = 1.0
"""Largest bias correction, in standard deviations: beyond it the resamples say nothing about the ends."""
_MOST_ACCELERATION = 0.25


def bca_interval(
    value: float,
    draws: Sequence[float] | Floats,
    leave_out: Sequence[Sequence[float] | Floats],
    level: float,
    units: float,
    note: str = "",
) -> Interval:
    """BCa interval of a statistic from its values in resamples and its values without each unit.

    Args:
        value: the statistic of the sample.
        draws: (R,) the statistic in each resample. Undefined values are left out and counted in the note.
        leave_out: for each resampled factor, the statistic without each of its units or groups of units.
        level: nominal coverage.
        units: effective number of units, for the expanded levels.
        note: note to keep.

    Returns:
        The interval; NaN ends when no resample has a value.

    Source:
        Efron 1987, "Better bootstrap confidence intervals"; expanded levels after Hesterberg 2015.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> interval = bca_interval(0.0, rng.standard_normal(4000), [[-0.1, 0.1, 0.0]], 0.95, 1000)
        >>> -2.1 < interval.low < -1.8, 1.8 < interval.high < 2.1
        (True, True)
    """
    values: Floats = np.asarray(draws, dtype=np.float64)
    defined = np.sort(values[np.isfinite(values)])
    if len(defined) < len(values):
        note = join_notes(note, f"undefined in {len(values) - len(defined)} of {len(values)} resamples")
    if len(defined) == 0 or not np.isfinite(value):
        return Interval(float("nan"), float("nan"), level, METHOD, note=note)
    low, high = np.quantile(defined, _levels(value, defined, leave_out, level, units))
    # The value lies in its own interval also where all draws fall on one side of it.
    low, high = min(float(low), value), max(float(high), value)
    return Interval(low, high, level, METHOD, note=note, resamples=len(defined), units=units)


def _levels(
    value: float, draws: Floats, leave_out: Sequence[Sequence[float] | Floats], level: float, units: float
) -> Floats:
    # Draws that equal the value up to rounding count half.
    fuzz = 1e-9 * float(draws[-1] - draws[0])
    below = np.searchsorted(draws, value - fuzz, "left") + np.searchsorted(draws, value + fuzz, "right")
    share = np.clip(below / (2 * len(draws)), 1 / len(draws), 1 - 1 / len(draws))
    bias = float(np.clip(scipy.special.ndtri(share), -_MOST_BIAS, _MOST_BIAS))
    shift = acceleration(leave_out)
    reach = expanded_quantile(level, units)
    moved = bias + np.array([-reach, reach])
    return np.asarray(scipy.special.ndtr(bias + moved / np.maximum(1 - shift * moved, 0.1)))


def expanded_quantile(level: float, units: float) -> float:
    """sqrt(n / (n - 1)) · t_{n-1}, the quantile of the expanded levels."""
    n = max(units, 2.0)
    return float(np.sqrt(n / (n - 1)) * scipy.special.stdtrit(n - 1, 0.5 + level / 2))


def acceleration(leave_out: Sequence[Sequence[float] | Floats]) -> float:
    """Σ l³ / (6 (Σ l²)^1.5) over the influences l of all units; factors of a crossed design are added.

    It is a sixth of the skewness of the statistic.
    """
    cubes, squares = 0.0, 0.0
    for values in leave_out:
        each = np.asarray(values, dtype=np.float64)
        each = each[np.isfinite(each)]
        if len(each) < 2:
            continue
        # The influence of a unit is (G - 1) times the drop without it; G - 1 estimates add up in the variance.
        influence = (len(each) - 1) / len(each) * (each.mean() - each)
        cubes += float((influence**3).sum())
        squares += float((influence**2).sum())
    if squares == 0:
        return 0.0
    return float(np.clip(cubes / (6 * squares**1.5), -_MOST_ACCELERATION, _MOST_ACCELERATION))
