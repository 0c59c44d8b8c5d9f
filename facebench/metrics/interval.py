"""Confidence interval of a metric, and helpers that all resampling methods share."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np

from facebench.metrics.quantiles import t_quantile

Metric = Callable[..., Any]
"""A function of facebench.metrics, or a functools.partial that holds its parameters."""
FEW_UNITS = 50
"""Fewer effective units give the interval a note: below, some intervals hold in less than 92 % of cases."""


@dataclass(frozen=True)
class Interval:
    """Confidence interval of one number.

    Attributes:
        low: lower end, in the unit of the number.
        high: upper end.
        level: nominal coverage, 0.95 by default.
        method: how the interval was computed, such as `bca_bootstrap` or `jackknife`.
        unit: what was resampled: `image`, `identity`, `source`, `target`, or two of them joined by ` × `.
        note: why the interval must be read with care; empty without a reason.
        resamples: number of resamples drawn, or of groups left out.
        units: effective number of units.
        leave_out: (G,) the number without each of G groups of units; empty where it was not computed.
    """

    low: float
    high: float
    level: float
    method: str
    unit: str = "image"
    note: str = ""
    resamples: int = 0
    units: float = 0.0
    leave_out: tuple[float, ...] = ()


def jackknifed(value: float, leave_out: Sequence[float], level: float) -> Interval:
    """Interval of value ± t standard errors from the values without each group.

    Source:
        Kott 2001, "The delete-a-group jackknife", with t of G - 1 degrees of freedom.
    """
    groups = len(leave_out)
    reach = t_quantile(0.5 + level / 2, groups - 1) * jackknife_error(leave_out)
    return Interval(
        value - reach,
        value + reach,
        level,
        "jackknife",
        resamples=groups,
        leave_out=tuple(float(number) for number in leave_out),
    )


def jackknife_error(leave_out: Sequence[float]) -> float:
    """Standard error sqrt((G - 1) / G · Σ (θ_g - mean θ)²) from the values without each of G groups."""
    groups = len(leave_out)
    deviation = np.asarray(leave_out, dtype=np.float64) - np.mean(leave_out)
    return float(np.sqrt((groups - 1) / groups * (deviation @ deviation)))


def numbers(result: object) -> dict[str, float]:
    """Numbers of a metric's result by field name, or "value" for a plain number; counts and None are left out."""
    if not is_dataclass(result):
        return {"value": float(result)}  # type: ignore[arg-type]
    values = {item.name: getattr(result, item.name) for item in fields(result)}
    return {name: float(v) for name, v in values.items() if isinstance(v, float | np.floating)}


def join_notes(*notes: str) -> str:
    """Join notes by semicolons; empty and repeated notes are left out."""
    return "; ".join(dict.fromkeys(note for note in notes if note))


def unwrap(function: Metric) -> tuple[Metric, dict[str, Any]]:
    """Split a partial function into the function and its parameters."""
    if isinstance(function, functools.partial) and not function.args:
        return function.func, dict(function.keywords)
    return function, {}
