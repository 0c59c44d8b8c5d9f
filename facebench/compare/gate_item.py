"""Outcome of the gate for one metric: what is compared, its p value, and the verdict of its rule."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from facebench.compare.difference import Difference, is_finite
from facebench.compare.gate_rules import Rule
from facebench.evaluation.breakdown import holm
from facebench.evaluation.record import MetricResult

Verdict = Literal["passed", "failed", "not judged"]
POWER = 0.8
"""Probability with which the smallest visible change is detected."""


@dataclass(frozen=True)
class Comparison:
    """One metric, or one count of images, of the run and of the baseline.

    Attributes:
        metric: id of the metric, or name of the count.
        result: result of the run; None if the run does not have the metric.
        expected: result of the baseline; None if the baseline does not have the metric.
        change: run minus baseline; None if one of them has no finite value.
        rule: the rule.
        p: one-sided p value of "not worse"; None if the rule or the interval does not allow a test.
        detail: text that is added to the reason of a failure.
    """

    metric: str
    result: MetricResult | None
    expected: MetricResult | None
    change: Difference | None
    rule: Rule
    p: float | None = None
    detail: str = ""

    @property
    def available(self) -> MetricResult:
        """The result of the run, else of the baseline."""
        available = self.result or self.expected
        assert available is not None
        return available


@dataclass(frozen=True)
class CheckItem:
    """Outcome for one metric, or for one count of images.

    Attributes:
        metric: id of the metric, or name of the count.
        result: result of the run; None if the run does not have the metric.
        expected: result of the baseline; None if the baseline does not have the metric.
        change: run minus baseline; None if one of them has no finite value.
        rule: the rule in words.
        verdict: "passed", "failed" or "not judged".
        reason: why the metric failed and by how much, or why it was not judged.
        p: one-sided p value of "not worse", corrected over the record (Holm); None if it is not tested.
        smallest_visible_change: smallest worsening that this comparison detects in 80 % of cases, in the unit of
            the metric; None if it is not tested.
    """

    metric: str
    result: MetricResult | None
    expected: MetricResult | None
    change: Difference | None
    rule: str
    verdict: Verdict
    reason: str = ""
    p: float | None = None
    smallest_visible_change: float | None = None

    @property
    def difference(self) -> float | None:
        """Run minus baseline, in the unit of the metric."""
        return None if self.change is None else self.change.value

    @property
    def low(self) -> float | None:
        """Lower end of the 95 % interval of the difference, not corrected; None without an interval."""
        return self.change.low if self.change is not None and self.change.has_interval else None

    @property
    def high(self) -> float | None:
        """Upper end of that interval."""
        return self.change.high if self.change is not None and self.change.has_interval else None


def judge(comparisons: Sequence[Comparison], level: float) -> list[CheckItem]:
    """Judge all comparisons of a record at a joint level.

    Source:
        Holm 1979, "A simple sequentially rejective multiple test procedure".
    """
    tested = [place for place, each in enumerate(comparisons) if each.p is not None]
    corrected = holm([comparisons[place].p or 0.0 for place in tested])
    p_values = dict(zip(tested, corrected, strict=True))
    return [_item(each, p_values.get(place), level, len(tested)) for place, each in enumerate(comparisons)]


def compared(
    metric: str, new: MetricResult | None, old: MetricResult | None, change: Difference | None, rule: Rule
) -> Comparison:
    """Return the comparison of a metric, with its p value where the rule tests it."""
    better = (new or old).better  # type: ignore[union-attr]
    testable = rule.interval and change is not None and change.has_interval
    p = change.p_worse(better) if testable and change is not None else None
    return Comparison(metric, new, old, change, rule, p)


def number(value: float, result: MetricResult) -> str:
    """Format with the decimals of the metric, or two significant digits where these would show zero."""
    text = f"{value:.{result.decimals}f}"
    return text if value == 0 or float(text) != 0 else f"{value:.2g}"


def _item(each: Comparison, p: float | None, level: float, tested: int) -> CheckItem:
    verdict, reason = _outcome(each, p, level)
    visible = None
    if p is not None and each.change is not None and each.change.has_interval:
        visible = each.change.visible(each.available.better, level / tested, POWER)
    rule = _describe(each.rule, each.available)
    return CheckItem(each.metric, each.result, each.expected, each.change, rule, verdict, reason, p, visible)


def _outcome(each: Comparison, p: float | None, level: float) -> tuple[Verdict, str]:
    missing = _missing(each)
    if missing is not None:
        return missing
    new, rule = each.available, each.rule
    failures = _bound_failures(rule, new)
    if each.change is not None:
        failures += _change_failures(rule, new, each.change)
        if p is not None and p < level:
            failures.append(_test_failure(each, each.change, p))
    if failures:
        return "failed", "; ".join(failures)
    if not rule.judges:
        return "not judged", "neither direction is better" if new.better == "neither" else "shown only"
    if rule.compares and each.change is None:
        return "not judged", "the baseline has no value to compare with"
    if rule.interval and p is None and not rule.judges_without_interval:
        return (
            "not judged",
            "it has no interval in both records: give it a rule with min, max, change or relative",
        )
    return "passed", ""


def _missing(each: Comparison) -> tuple[Verdict, str] | None:
    """Verdict where the run or the baseline has no finite value; None if both have one, or the run has a new one."""
    new, old, rule = each.result, each.expected, each.rule
    had_value = old is not None and old.value is not None
    if new is None or new.value is None:
        reason = "the run does not have it" if new is None else f"the run has no value: {new.reason}"
        required = had_value or rule.min is not None or rule.max is not None
        return ("failed" if required else "not judged"), reason
    if not math.isfinite(new.value):
        return "failed", f"the value of the run is {new.value}"
    if had_value and not is_finite(old):
        return "failed", f"the value of the baseline is {old.value}: replace the baseline"  # type: ignore[union-attr]
    return None


def _bound_failures(rule: Rule, new: MetricResult) -> list[str]:
    """Absolute bounds that the value violates, and by how much."""
    assert new.value is not None
    value, failures = number(new.value, new), []
    if rule.min is not None and new.value < rule.min:
        failures.append(f"{value} is {number(rule.min - new.value, new)} below the minimum {rule.min:g}")
    if rule.max is not None and new.value > rule.max:
        failures.append(f"{value} is {number(new.value - rule.max, new)} above the maximum {rule.max:g}")
    return failures


def _change_failures(rule: Rule, new: MetricResult, change: Difference) -> list[str]:
    """Bounds on the change that it violates, and by how much."""
    assert new.value is not None
    worsening = change.worsening(new.better)
    failures = []
    if rule.change is not None and worsening > rule.change:
        failures.append(f"{_worse(new)} by {number(worsening, new)}, at most {rule.change:g} is allowed")
    if rule.relative is not None:
        old = abs(new.value - change.value)
        if worsening > rule.relative * old:
            share = f"{worsening / old:.1%}" if old else f"{number(worsening, new)} from zero"
            failures.append(f"{_worse(new)} by {share}, at most {rule.relative:.1%} is allowed")
    return failures


def _test_failure(each: Comparison, change: Difference, p: float) -> str:
    new = each.available
    amount = number(change.worsening(new.better), new)
    if not change.has_interval:
        return (
            f"{'changed' if new.better == 'neither' else 'worse'} by {amount}, "
            f"p = {p:.2g} for the whole record{each.detail}"
        )
    interval = f"[{number(change.low, new)}, {number(change.high, new)}]"
    return (
        f"{'changed' if new.better == 'neither' else 'worse'} by {amount}, interval of the difference {interval}, "
        f"{change.method}, p = {p:.2g} for the whole record{each.detail}"
    )


def _worse(result: MetricResult) -> str:
    return "changed" if result.better == "neither" else "worse"


def _describe(rule: Rule, result: MetricResult) -> str:
    """The rule in words."""
    worse = _worse(result)
    parts = [
        rule.min is not None and f"≥ {rule.min:g}",
        rule.max is not None and f"≤ {rule.max:g}",
        rule.change is not None and f"{worse} ≤ {rule.change:g}",
        rule.relative is not None and f"{worse} ≤ {rule.relative:.1%}",
        rule.interval and "interval",
    ]
    return ", ".join(part for part in parts if part) or "shown only"
