"""Difference between two runs in one metric, with its interval.

    Δ = θ_run − θ_baseline        Δ ± t · se(Δ)

Where the runs share sampling units (people, images, reference groups), se(Δ) comes from the differences of their
influences, so that what both runs share cancels. Elsewhere the recorded intervals are combined (MOVER):

    low = Δ − sqrt((θ_run − low_run)² + (high_baseline − θ_baseline)²),  high likewise

Source:
    Zou and Donner 2008, "Construction of confidence limits about effect measures" (MOVER); shares of rare events:
    McNemar 1947 and the exact sign test.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import scipy.stats

from facebench.compare.influence import Influence, Joint, influence
from facebench.evaluation.record import MetricResult, Run

LEVEL = 0.95
ROUNDING = 1e-7
"""Relative difference below which two values are equal: per-image numbers are stored in single precision."""
JACKKNIFE_GROUPS = 20
"""Number of groups of a recorded jackknife interval, the fewest in use."""

Better = Literal["higher", "lower", "neither"]


@dataclass(frozen=True)
class Difference:
    """Run minus baseline, in the unit of the metric, with a 95 % interval.

    Attributes:
        value: the difference.
        low: lower end of the interval.
        high: upper end of the interval.
        method: method of the interval; "no interval" where the ends equal the value.
        degrees_of_freedom: of Student's t, with which the interval continues to other levels.
        exact: smallest p values of a positive and of a negative difference, from an exact test.
    """

    value: float
    low: float
    high: float
    method: str
    degrees_of_freedom: float = math.inf
    exact: tuple[float, float] = (0.0, 0.0)

    @property
    def has_interval(self) -> bool:
        """Whether the difference has an interval."""
        return self.method != "no interval"

    def worsening(self, better: Better) -> float:
        """Return by how much the run is worse; the absolute difference where neither direction is better."""
        return {"higher": -self.value, "lower": self.value, "neither": abs(self.value)}[better]

    def verdict(self, better: Better) -> Literal["better", "worse", "changed", "same"]:
        """Return the direction of the difference; "same" when the interval contains zero."""
        if self.low <= 0 <= self.high:
            return "same"
        if better == "neither":
            return "changed"
        return "better" if (self.value > 0) == (better == "higher") else "worse"

    def standard_error(self, side: Literal["low", "high"]) -> float:
        """Return the standard error from the arm of the interval on one side."""
        arm = self.value - self.low if side == "low" else self.high - self.value
        return arm / float(scipy.stats.t.ppf(0.5 + LEVEL / 2, self.degrees_of_freedom))

    def p_worse(self, better: Better) -> float:
        """Return the one-sided p value of "the run is not worse"; two-sided where neither direction is better."""
        up, down = self._p(1), self._p(-1)
        return {"higher": down, "lower": up, "neither": min(1.0, 2 * min(up, down))}[better]

    def visible(self, better: Better, level: float, power: float = 0.8) -> float:
        """Return the smallest worsening that a one-sided test at a level detects with some probability."""
        quantile = scipy.stats.t.ppf
        error = max(self.standard_error(side) for side in _sides(better))
        level = level / 2 if better == "neither" else level
        reach = quantile(1 - level, self.degrees_of_freedom) + quantile(power, self.degrees_of_freedom)
        return float(reach * error)

    def _p(self, sign: int) -> float:
        """The p value of a difference that is positive (sign 1) or negative (sign -1)."""
        shift, error = sign * self.value, self.standard_error("low" if sign > 0 else "high")
        if error == 0:
            p = float(shift <= 0)
        else:
            p = float(scipy.stats.t.sf(shift / error, self.degrees_of_freedom))
        return max(p, self.exact[0 if sign > 0 else 1])


def difference(metric: str, run: Run, baseline: Run) -> Difference | None:
    """Compute the difference in a metric, run minus baseline; None if one of them has no finite value."""
    new, old = run.metrics.get(metric), baseline.metrics.get(metric)
    if not is_finite(new) or not is_finite(old):
        return None
    assert new is not None
    assert old is not None
    paired = _paired(metric, run, baseline)
    return combined_difference(new, old) if paired is None else paired


def is_finite(result: MetricResult | None) -> bool:
    """Whether a result has a value that is neither NaN nor infinite."""
    return result is not None and result.value is not None and math.isfinite(result.value)


def combined_difference(new: MetricResult, old: MetricResult) -> Difference:
    """Return the difference of two independent results by MOVER; without an interval on both sides it has none."""
    assert new.value is not None
    assert old.value is not None
    value = _without_rounding(new.value - old.value, new.value, old.value)
    if not (has_interval(new) and has_interval(old)):
        return Difference(value, value, value, "no interval")
    (new_down, new_up), (old_down, old_up) = arms(new), arms(old)
    low, high = value - math.hypot(new_down, old_up), value + math.hypot(new_up, old_down)
    freedom = _combined_freedom(new, old)
    return Difference(value, low, high, "independent intervals", freedom)


def has_interval(result: MetricResult) -> bool:
    """Whether a result has an interval with finite ends."""
    return all(end is not None and math.isfinite(end) for end in (result.low, result.high))


def arms(result: MetricResult) -> tuple[float, float]:
    """Return the lengths of both arms of an interval; zero without an interval, never negative."""
    if result.value is None or not has_interval(result):
        return 0.0, 0.0
    assert result.low is not None
    assert result.high is not None
    return max(result.value - result.low, 0.0), max(result.high - result.value, 0.0)


def degrees_of_freedom(result: MetricResult) -> float:
    """Return the degrees of freedom of an interval: number of units or groups, less one."""
    units = result.units or result.n.get("identities", result.n.get("generated", 0))
    known = [units] if units > 1 else []
    if "jackknife" in result.method:
        known.append(JACKKNIFE_GROUPS)
    return float(min(known) - 1) if known else math.inf


def _paired(metric: str, run: Run, baseline: Run) -> Difference | None:
    """Difference over shared units; None if the runs share no units."""
    sides = [influence(metric, each) for each in (run, baseline)]
    first, second = sides
    new, old = run.metrics[metric].value, baseline.metrics[metric].value
    if first is None or second is None or new is None or old is None:
        return None
    joint = Joint.of([first, second])
    shared = joint.shared(0, 1)
    if shared < 2:
        return None
    error = joint.error(np.array([1.0, -1.0]))
    value = _without_rounding(new - old, new, old)
    reach = error.standard * float(scipy.stats.t.ppf(0.5 + LEVEL / 2, error.degrees_of_freedom))
    method = f"paired over {shared} {first.unit}"
    exact = _sign_test(first, second)
    return Difference(value, value - reach, value + reach, method, error.degrees_of_freedom, exact)


def _sign_test(first: Influence, second: Influence) -> tuple[float, float]:
    """Exact p values of more and of fewer events, over the units in which two shares differ; (0, 0) elsewhere."""
    if first.terms is None or second.terms is None or first.units is None:
        return 0.0, 0.0
    terms = pd.concat([first.terms, second.terms], axis=1, join="inner")
    if not terms.isin([0.0, 1.0]).to_numpy().all():
        return 0.0, 0.0
    units = first.units.reindex(terms.index).to_numpy()
    net = (terms.iloc[:, 0] - terms.iloc[:, 1]).groupby(units).sum()
    more, fewer = int((net > 0).sum()), int((net < 0).sum())
    tail = scipy.stats.binom.sf
    return float(tail(more - 1, more + fewer, 0.5)), float(tail(fewer - 1, more + fewer, 0.5))


def _combined_freedom(new: MetricResult, old: MetricResult) -> float:
    """Satterthwaite's degrees of freedom of a difference."""
    squares = [max(arms(result)) ** 2 for result in (new, old)]
    spread = sum(
        square**2 / degrees_of_freedom(result) for square, result in zip(squares, (new, old), strict=True)
    )
    return sum(squares) ** 2 / spread if spread > 0 else math.inf


def _without_rounding(value: float, new: float, old: float) -> float:
    return 0.0 if abs(value) <= ROUNDING * max(abs(new), abs(old)) else value


def _sides(better: Better) -> tuple[Literal["low", "high"], ...]:
    """Arms of the interval that a worsening must exceed."""
    return {"higher": ("high",), "lower": ("low",), "neither": ("low", "high")}[better]  # type: ignore[return-value]
