"""Difference between two runs in one metric, with its interval."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from facebench.compare.comparability import SIZE_TOLERANCE
from facebench.evaluation.per_image import per_image_metric
from facebench.evaluation.record import MetricResult, Run

RESAMPLES = 1000

Better = Literal["higher", "lower", "neither"]


@dataclass(frozen=True)
class Difference:
    """Run minus baseline, in the unit of the metric, with a 95 % interval.

    Attributes:
        value: the difference.
        low: lower end of the interval.
        high: upper end of the interval.
        method: method of the interval.
    """

    value: float
    low: float
    high: float
    method: str

    def worsening(self, better: Better) -> float:
        """Return by how much the run is worse; the absolute difference if neither direction is better."""
        return {"higher": -self.value, "lower": self.value, "neither": abs(self.value)}[better]

    def verdict(self, better: Better) -> Literal["better", "worse", "changed", "same"]:
        """Return the direction of the difference; "same" when the interval contains zero."""
        if self.low <= 0 <= self.high:
            return "same"
        if better == "neither":
            return "changed"
        return "better" if (self.value > 0) == (better == "higher") else "worse"


def difference(metric: str, run: Run, baseline: Run) -> Difference | None:
    """Compute the difference in a metric, run minus baseline; None if one of them has no value.

    The interval is a paired bootstrap if the per-image tables of both runs determine the metric for the same
    images. The same images are then drawn with replacement from both runs. Otherwise both intervals are combined as
    independent, with half-width sqrt(hw₁² + hw₂²); a value without an interval counts as exact.
    """
    new, old = run.metrics.get(metric), baseline.metrics.get(metric)
    if new is None or old is None or new.value is None or old.value is None:
        return None
    value = new.value - old.value
    paired = _paired_interval(metric, run, baseline)
    if paired is not None:
        return Difference(value, *paired)
    half_width = math.hypot(_half_width(new), _half_width(old))
    method = "independent intervals" if half_width or new.low is not None else "no interval"
    return Difference(value, value - half_width, value + half_width, method)


def _half_width(result: MetricResult) -> float:
    return 0.0 if result.low is None or result.high is None else (result.high - result.low) / 2


def _paired_interval(metric: str, run: Run, baseline: Run) -> tuple[float, float, str] | None:
    """Ends and method of the paired interval; None if the images of both runs cannot be paired."""
    new, old = per_image_metric(metric, run), per_image_metric(metric, baseline)
    if new is None or old is None:
        return None
    images = new.rows.index.union(old.rows.index)
    shared = new.rows.index.intersection(old.rows.index)
    if len(shared) < (1 - SIZE_TOLERANCE) * len(images):
        return None
    new_rows, old_rows = (side.rows.reindex(images).to_numpy(dtype=np.float64) for side in (new, old))
    rng = np.random.default_rng(run.seed)
    differences = []
    for _ in range(RESAMPLES):
        sample = rng.integers(len(images), size=len(images))
        differences.append(new.on(new_rows[sample]) - old.on(old_rows[sample]))
    low, high = np.nanquantile(differences, [0.025, 0.975])
    return float(low), float(high), f"paired bootstrap over {len(images)} images"
