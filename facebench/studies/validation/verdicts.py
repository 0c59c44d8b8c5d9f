"""Does a metric do what its card claims? Response curves, and what their intervals allow to be said."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import scipy.stats

from facebench.compare.difference import Change, change
from facebench.evaluation.cards import Card, Damage, Response
from facebench.evaluation.record import MetricResult, Run

LEVEL = 0.95
"""Chance that all changes of a validation lie in their widened intervals at once."""
IGNORED = 0.1
"""Share of a metric's response below which a change counts as none."""

Verdict = Literal["holds", "broken", "unclear", "no value"]


@dataclass(frozen=True)
class Curve:
    """How a metric answers to one damage, from strength 0 upwards."""

    card: Card
    kind: Damage
    results: Mapping[float, MetricResult]
    """By strength."""
    changes: Mapping[tuple[float, float], Change]
    """From the first strength to the second, where both have a value."""

    @property
    def claim(self) -> Response:
        """What the card says."""
        return self.card.claims[self.kind]

    @property
    def direction(self) -> int:
        """1 when the value should rise, -1 when it should fall, 0 when it should stay."""
        lower = self.card.better == "lower"
        return {
            "rises": 1,
            "falls": -1,
            "stays": 0,
            "worse": 1 if lower else -1,
            "better": -1 if lower else 1,
        }[self.claim]

    @property
    def missing(self) -> str:
        """Strengths without a value and why, in words; empty when there are none."""
        absent = {
            strength: result.reason for strength, result in self.results.items() if result.value is None
        }
        return "; ".join(
            f"no value at strength {strength:g}: {reason}" for strength, reason in absent.items()
        )

    @property
    def response(self) -> float:
        """Largest distance from the undamaged value."""
        return max((abs(c.value) for (first, _), c in self.changes.items() if first == 0), default=0.0)


@dataclass(frozen=True)
class Judged:
    """A curve and what it says about the claim."""

    curve: Curve
    verdict: Verdict
    why: str = ""


def curve(card: Card, kind: Damage, runs: Mapping[float, Run]) -> Curve:
    """The response of one metric, from runs by strength of which the first is 0.

    A claim to stay is about changes from strength 0; a claim to move also about every pair of strengths, because
    a response has to be monotonic.
    """
    pairs = list(itertools.combinations(runs, 2))
    if card.claims[kind] == "stays":
        pairs = [(first, second) for first, second in pairs if first == 0]
    found = {(a, b): difference(card.id, runs[b], runs[a]) for a, b in pairs}
    results = {strength: run.metrics[card.id] for strength, run in runs.items()}
    return Curve(card, kind, results, {pair: made for pair, made in found.items() if made is not None})


def difference(metric: str, run: Run, baseline: Run) -> Change | None:
    """The change of a metric between two runs; intervals that are skewed stay skewed.

    Paired where the metric averages over images; else each end of the change's interval takes the end of each
    value's interval that it depends on, by the square root of the sum of squares.

    Source:
        Zou and Donner 2008, "Construction of confidence limits about effect measures" (MOVER).
    """
    made = change(metric, run, baseline)
    if made is None or made.method != "independent intervals":
        return made
    new_down, new_up = _reach(run.metrics[metric])
    old_down, old_up = _reach(baseline.metrics[metric])
    low, high = made.value - math.hypot(new_down, old_up), made.value + math.hypot(new_up, old_down)
    return Change(made.value, low, high, made.method)


def _reach(result: MetricResult) -> tuple[float, float]:
    """From the value down and up to the ends of its interval; zero without one."""
    if result.value is None or result.low is None or result.high is None:
        return 0.0, 0.0
    return result.value - result.low, result.high - result.value


def judge(curves: Sequence[Curve]) -> list[Judged]:
    """A verdict on every claim; all of them hold at once at 95 %.

    Every interval of a change is widened, from its 95 % to what Bonferroni's inequality asks for all changes of the
    validation together, as if it were that of a normal variable. With that

    * a claim to move is broken when a step certainly goes the other way, by more than a tenth of the response, or when
      the change to the highest strength cannot be told from zero;
    * a claim to stay is broken when a change is certainly more than a tenth of the metric's largest claimed response,
      holds when every change is certainly less, and is unclear otherwise.

    Returns:
        One result for each curve, in order.
    """
    factor = widening(sum(len(found.changes) for found in curves))
    responses: dict[str, float] = {}
    for found in curves:
        if found.direction != 0:
            metric = found.card.id
            responses[metric] = max(responses.get(metric, 0.0), found.response)
    return [_verdict(found, factor, responses.get(found.card.id)) for found in curves]


def widening(comparisons: int) -> float:
    """How much wider than its own 95 % interval one of several comparisons has to be for 95 % together.

    Source:
        Bonferroni's inequality; Dunn 1961, "Multiple comparisons among means".

    Example:
        >>> round(widening(1), 3), round(widening(100), 3)
        (1.0, 1.776)
    """
    normal = scipy.stats.norm
    return float(normal.ppf(1 - (1 - LEVEL) / (2 * max(comparisons, 1))) / normal.ppf(0.5 + LEVEL / 2))


def _verdict(found: Curve, factor: float, largest: float | None) -> Judged:
    measured = [strength for strength, result in found.results.items() if result.value is not None]
    if len(measured) < 2 or measured[0] != 0:
        return Judged(found, "no value", found.missing)
    wide = {pair: _widened(made, factor) for pair, made in found.changes.items()}
    verdict, why = (
        _stays(found, wide, largest) if found.direction == 0 else _moves(found, wide, (0, measured[-1]))
    )
    return Judged(found, verdict, "; ".join(part for part in (why, found.missing) if part))


def _widened(made: Change, factor: float) -> Change:
    low, high = (made.value + factor * (end - made.value) for end in (made.low, made.high))
    return Change(made.value, low, high, made.method)


def _moves(
    found: Curve, wide: Mapping[tuple[float, float], Change], whole: tuple[float, float]
) -> tuple[Verdict, str]:
    sign = found.direction
    # The draw of a damage itself is not in the intervals, so that a small step back is none.
    allowed = -IGNORED * found.response
    back = [(pair, made) for pair, made in wide.items() if max(sign * made.low, sign * made.high) < allowed]
    if back:
        pair, made = max(back, key=lambda step: abs(step[1].value))
        verb = "falls" if sign > 0 else "rises"
        return "broken", f"{verb} from strength {pair[0]:g} to {pair[1]:g}, by {_text(found, made)}"
    made = wide[whole]
    if min(sign * made.low, sign * made.high) <= 0:
        return "broken", f"no response: the change to strength {whole[1]:g} is {_text(found, made)}"
    return "holds", ""


def _stays(
    found: Curve, wide: Mapping[tuple[float, float], Change], largest: float | None
) -> tuple[Verdict, str]:
    moved = {pair: made for pair, made in wide.items() if not made.low == made.value == made.high == 0}
    if not moved:
        return "holds", ""
    promised = {kind for kind, claim in found.card.claims.items() if claim != "stays"}
    if largest is None and promised:
        return "unclear", f"what it may move by is known only beside {' or '.join(sorted(promised))}"
    margin = IGNORED * (largest or 0.0)
    (_, strength), made = max(moved.items(), key=lambda step: abs(step[1].value))
    said = f"moves at strength {strength:g} by {_text(found, made)}"
    allowed = f"{margin:.{found.card.decimals}f} is a tenth of its largest claimed response"
    if any(m.low > margin or m.high < -margin for m in moved.values()):
        return "broken", f"{said}; {allowed}" if margin else said
    if all(-margin <= m.low and m.high <= margin for m in moved.values()):
        return "holds", ""
    return "unclear", f"{said}; {allowed}" if margin else said


def _text(found: Curve, made: Change) -> str:
    value, low, high = (f"{number:+.{found.card.decimals}f}" for number in (made.value, made.low, made.high))
    return f"{value} [{low}, {high}]"
