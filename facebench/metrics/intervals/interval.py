"""What all intervals share: the interval itself, percentiles of a bootstrap, the error of a jackknife."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import numpy as np
import scipy.stats

from facebench.metrics.arrays import Floats

Metric = Callable[..., Any]
"""A function of facebench.metrics, or a functools.partial that holds its parameters."""
FEW_IMAGES = 30
"""Images below which an interval is marked as one not to be trusted."""
FEW_IDENTITIES = 10
"""Identities below which an interval is marked likewise."""


@dataclass(frozen=True)
class Interval:
    """Where a number would lie with other samples of the same count.

    Attributes:
        low: lower end, in the unit of the number.
        high: upper end.
        level: share of such intervals that hold the expected number, 0.95 unless asked otherwise.
        method: jackknife, bootstrap_images, bootstrap_identities or jackknife_identities.
        resamples: resamples drawn, or groups left out.
        note: why it is not to be trusted; empty when there is no such reason.
    """

    low: float
    high: float
    level: float
    method: str
    resamples: int
    note: str = ""


def share_interval(value: float, interval: Interval, n: int) -> Interval:
    """The interval of a share that is exactly 0 or 1, where resampling finds no spread: the rule of three.

    No failure in n independent trials bounds the rate at 95 % by about 3/n (1 - 0.05^(1/n) is 0.00299 for
    n = 1000). An interval that already reaches further stays as it is.

    Args:
        value: a share in [0, 1].
        interval: what resampling gave.
        n: independent trials: images, or identities in verification.

    Source:
        Hanley and Lippman-Hand 1983, "If nothing goes wrong, is everything all right?".

    Example:
        >>> share_interval(0.0, Interval(0.0, 0.0, 0.95, "bootstrap_images", 1000), 300).high
        0.01
    """
    reach = min(1.0, 3 / max(n, 1))
    if value == 0 and interval.high < reach:
        return replace(interval, low=0.0, high=reach, method="rule of three")
    if value == 1 and interval.low > 1 - reach:
        return replace(interval, low=1 - reach, high=1.0, method="rule of three")
    return interval


def jackknifed(
    value: float,
    replicates: Sequence[float],
    level: float,
    within: tuple[float, float],
    method: str,
    note: str,
) -> Interval:
    """The value ± t standard errors, those from the spread of what is left without each group."""
    groups = len(replicates)
    deviation = np.asarray(replicates) - np.mean(replicates)
    error = float(np.sqrt((groups - 1) / groups * (deviation @ deviation)))
    reach = float(scipy.stats.t.ppf(0.5 + level / 2, groups - 1)) * error
    low, high = max(value - reach, within[0]), min(value + reach, within[1])
    return Interval(low, high, level, method, groups, note)


def percentile(draws: Sequence[float], level: float, method: str, note: str) -> Interval:
    """Percentile interval of the numbers that resamples gave; undefined ones are left out and counted."""
    values: Floats = np.asarray(draws, dtype=np.float64)
    defined = values[np.isfinite(values)]
    if len(defined) < len(values):
        note = "; ".join(filter(None, [note, f"undefined in {len(values) - len(defined)} resamples"]))
    if len(defined) == 0:
        return Interval(float("nan"), float("nan"), level, method, 0, note)
    low, high = np.quantile(defined, [0.5 - level / 2, 0.5 + level / 2])
    return Interval(float(low), float(high), level, method, len(defined), note)


def numbers(result: object) -> dict[str, float]:
    """Numbers in a metric's result by field name, "value" for a plain one; counts and None are left out."""
    if not is_dataclass(result):
        return {"value": float(result)}  # type: ignore[arg-type]
    values = {item.name: getattr(result, item.name) for item in fields(result)}
    return {name: float(v) for name, v in values.items() if isinstance(v, float | np.floating)}


def few(count: int, enough: int, what: str) -> str:
    """The note on a small sample, empty for a large one."""
    return f"only {count} {what}: too few for an interval to be trusted" if count < enough else ""


def unwrap(function: Metric) -> tuple[Metric, dict[str, Any]]:
    """Split a partial function into the function and its parameters."""
    if isinstance(function, functools.partial) and not function.args:
        return function.func, dict(function.keywords)
    return function, {}
