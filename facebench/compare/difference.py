"""The difference between two runs in one metric, and the interval of that difference."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from facebench.compare.leaderboard import SAME_SIZE
from facebench.evaluation.per_image import per_image_metric
from facebench.evaluation.record import MetricResult, Run

RESAMPLES = 1000

Better = Literal["higher", "lower", "neither"]


@dataclass(frozen=True)
class Change:
    """Run minus baseline, in the metric's unit, with a 95 % interval.

    Attributes:
        value: the difference.
        low: lower end of its interval.
        high: upper end.
        method: how the interval was made.
    """

    value: float
    low: float
    high: float
    method: str

    def worsening(self, better: Better) -> float:
        """How far the change goes to the worse; either way where neither direction is better."""
        return {"higher": -self.value, "lower": self.value, "neither": abs(self.value)}[better]

    def verdict(self, better: Better) -> Literal["better", "worse", "changed", "same"]:
        """What the interval of the difference says; "same" when it holds zero."""
        if self.low <= 0 <= self.high:
            return "same"
        if better == "neither":
            return "changed"
        return "better" if (self.value > 0) == (better == "higher") else "worse"


def change(metric: str, run: Run, baseline: Run) -> Change | None:
    """The change of a metric from the baseline to the run; None when one of them has no value.

    The interval comes from a paired bootstrap where both per-image tables hold the same quantity of the same
    items: images are drawn with replacement, the same ones on both sides. Else both intervals count as
    independent, with half-width sqrt(hw₁² + hw₂²); a number without an interval counts as exact.
    """
    new, old = run.metrics.get(metric), baseline.metrics.get(metric)
    if new is None or old is None or new.value is None or old.value is None:
        return None
    value = new.value - old.value
    paired = _paired(metric, run, baseline)
    if paired is not None:
        return Change(value, *paired)
    reach = math.hypot(_half_width(new), _half_width(old))
    method = "independent intervals" if reach or new.low is not None else "no interval"
    return Change(value, value - reach, value + reach, method)


def _half_width(result: MetricResult) -> float:
    return 0.0 if result.low is None or result.high is None else (result.high - result.low) / 2


def _paired(metric: str, run: Run, baseline: Run) -> tuple[float, float, str] | None:
    """Ends and method of the paired interval; None where pairing is not possible."""
    new, old = per_image_metric(metric, run), per_image_metric(metric, baseline)
    if new is None or old is None:
        return None
    items = new.rows.index.union(old.rows.index)
    shared = new.rows.index.intersection(old.rows.index)
    if len(shared) < (1 - SAME_SIZE) * len(items):
        return None
    sides = [(side.rows.reindex(items).to_numpy(dtype=np.float64), side) for side in (new, old)]
    rng = np.random.default_rng(run.seed)
    draws = []
    for _ in range(RESAMPLES):
        drawn = rng.integers(len(items), size=len(items))
        values = [side.on(rows[drawn]) for rows, side in sides]
        draws.append(values[0] - values[1])
    low, high = np.nanquantile(draws, [0.025, 0.975])
    return float(low), float(high), f"paired bootstrap over {len(items)} images"
