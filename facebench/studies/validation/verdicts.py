"""Response curves of metrics to damage, and verdicts on the claims of their cards."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import scipy.stats

from facebench.compare.difference import Difference, difference
from facebench.evaluation.cards import Card, Damage, Response
from facebench.evaluation.record import MetricResult, Run

LEVEL = 0.95
"""Joint level of the widened intervals of all changes of a validation."""
IGNORED = 0.1
"""Share of the response of a metric below which a change is ignored."""

Verdict = Literal["holds", "broken", "unclear", "no value"]


@dataclass(frozen=True)
class Curve:
    """Response of a metric to one damage, by increasing strength from 0.

    Attributes:
        card: the metric.
        damage: the damage.
        results: by strength.
        changes: by pair of strengths, the change from the first to the second, if both have a value.
    """

    card: Card
    damage: Damage
    results: Mapping[float, MetricResult]
    changes: Mapping[tuple[float, float], Difference]

    @property
    def response_claim(self) -> Response:
        """The claim of the card."""
        return self.card.claims[self.damage]

    @property
    def direction(self) -> int:
        """1 for a claim that the value rises, -1 that it falls, 0 that it stays."""
        lower = self.card.better == "lower"
        return {
            "rises": 1,
            "falls": -1,
            "stays": 0,
            "worse": 1 if lower else -1,
            "better": -1 if lower else 1,
        }[self.response_claim]

    @property
    def missing(self) -> str:
        """Strengths without a value and the reasons, as one text; empty when every strength has a value."""
        absent: dict[str, list[str]] = {}
        for strength, result in self.results.items():
            if result.value is None:
                absent.setdefault(str(result.reason), []).append(f"{strength:g}")
        if len(absent) == 1 and not any(result.value is not None for result in self.results.values()):
            return f"not testable with these faces: {next(iter(absent))}"
        return "; ".join(
            f"no value at strength {', '.join(strengths)}: {reason}" for reason, strengths in absent.items()
        )

    @property
    def response(self) -> float:
        """Largest distance from the undamaged value."""
        return max((abs(c.value) for (first, _), c in self.changes.items() if first == 0), default=0.0)


@dataclass(frozen=True)
class Claim:
    """A claim of a card with its response curve and verdict."""

    curve: Curve
    verdict: Verdict
    reason: str = ""


def curve(card: Card, damage: Damage, runs: Mapping[float, Run]) -> Curve:
    """Return the response of one metric, from runs by strength that begin with strength 0.

    A claim to stay applies to changes from strength 0. A claim to rise or fall applies to every pair of strengths,
    because the response must be monotonic.
    """
    pairs = list(itertools.combinations(runs, 2))
    if card.claims[damage] == "stays":
        pairs = [(first, second) for first, second in pairs if first == 0]
    changes = {(a, b): difference(card.id, runs[b], runs[a]) for a, b in pairs}
    results = {strength: run.metrics[card.id] for strength, run in runs.items()}
    measured = {pair: each for pair, each in changes.items() if each is not None}
    return Curve(card, damage, results, measured)


def judge(curves: Sequence[Curve]) -> list[Claim]:
    """Return a verdict on every claim, at a joint level of 95 %.

    Every 95 % interval of a change is widened so that the intervals of all changes hold jointly (Bonferroni), under a
    normal approximation.

    * A claim to rise or fall is broken in two cases. Either the interval of a step is in the opposite direction by more
      than a tenth of the response. Or the 95 % interval of the change to the highest strength contains zero. If only
      its widened interval contains zero, the claim is unclear: there are too few faces.
    * A claim to stay is broken if the interval of a change exceeds a tenth of the largest claimed response. It holds if
      all intervals are within a tenth, and is unclear otherwise.

    Returns:
        One result for each curve, in order.
    """
    factor = widening(sum(len(response.changes) for response in curves))
    responses: dict[str, float] = {}
    for response in curves:
        if response.direction != 0:
            metric = response.card.id
            responses[metric] = max(responses.get(metric, 0.0), response.response)
    return [_verdict(response, factor, responses.get(response.card.id)) for response in curves]


def widening(comparisons: int) -> float:
    """Return the factor that widens a 95 % interval so that several intervals hold jointly at 95 %.

    Source:
        Bonferroni's inequality; Dunn 1961, "Multiple comparisons among means".

    Example:
        >>> round(widening(1), 3), round(widening(100), 3)
        (1.0, 1.776)
    """
    normal = scipy.stats.norm
    return float(normal.ppf(1 - (1 - LEVEL) / (2 * max(comparisons, 1))) / normal.ppf(0.5 + LEVEL / 2))


def _verdict(response: Curve, factor: float, largest: float | None) -> Claim:
    measured = [strength for strength, result in response.results.items() if result.value is not None]
    if len(measured) < 2 or measured[0] != 0:
        return Claim(response, "no value", response.missing)
    wide = {pair: _widened(delta, factor) for pair, delta in response.changes.items()}
    verdict, reason = (
        _stays(response, wide, largest)
        if response.direction == 0
        else _moves(response, wide, (0, measured[-1]))
    )
    return Claim(response, verdict, "; ".join(part for part in (reason, response.missing) if part))


def _widened(delta: Difference, factor: float) -> Difference:
    low, high = (delta.value + factor * (end - delta.value) for end in (delta.low, delta.high))
    return Difference(delta.value, low, high, delta.method)


def _moves(
    response: Curve, wide: Mapping[tuple[float, float], Difference], whole: tuple[float, float]
) -> tuple[Verdict, str]:
    sign = response.direction
    # The intervals do not include the randomness of the damage, so a small step back is ignored.
    allowed = -IGNORED * response.response
    back = [
        (pair, delta) for pair, delta in wide.items() if max(sign * delta.low, sign * delta.high) < allowed
    ]
    if back:
        pair, delta = max(back, key=lambda step: abs(step[1].value))
        verb = "falls" if sign > 0 else "rises"
        return "broken", f"{verb} from strength {pair[0]:g} to {pair[1]:g}, by {_text(response, delta)}"
    delta, alone = wide[whole], response.changes[whole]
    if min(sign * delta.low, sign * delta.high) > 0:
        return "holds", ""
    text = f"the change to strength {whole[1]:g} is {_text(response, delta)}"
    if min(sign * alone.low, sign * alone.high) > 0:
        return "unclear", f"too few faces: {text}"
    return "broken", f"no response: {text}"


def _stays(
    response: Curve, wide: Mapping[tuple[float, float], Difference], largest: float | None
) -> tuple[Verdict, str]:
    moved = {pair: delta for pair, delta in wide.items() if not delta.low == delta.value == delta.high == 0}
    # Equal values with equal intervals do not depend on the damaged images, such as a threshold of the reference.
    measured = [each for each in response.results.values() if each.value is not None]
    if not moved or len({(each.value, each.low, each.high) for each in measured}) == 1:
        return "holds", ""
    moving = {damage for damage, claim in response.card.claims.items() if claim != "stays"}
    if largest is None and moving:
        return "unclear", f"the tolerance requires a validation of {' or '.join(sorted(moving))}"
    margin = IGNORED * (largest or 0.0)
    (_, strength), delta = max(moved.items(), key=lambda step: abs(step[1].value))
    text = f"moves at strength {strength:g} by {_text(response, delta)}"
    allowed = f"{margin:.{response.card.decimals}f} is a tenth of its largest claimed response"
    if any(m.low > margin or m.high < -margin for m in moved.values()):
        return "broken", f"{text}; {allowed}" if margin else text
    if all(-margin <= m.low and m.high <= margin for m in moved.values()):
        return "holds", ""
    return "unclear", f"{text}; {allowed}" if margin else text


def _text(response: Curve, delta: Difference) -> str:
    value, low, high = (
        f"{number:+.{response.card.decimals}f}" for number in (delta.value, delta.low, delta.high)
    )
    return f"{value} [{low}, {high}]"
