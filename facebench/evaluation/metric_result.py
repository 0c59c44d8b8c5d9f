"""Convert an estimate to the entry of a metric in the run record: range, interval and notes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from facebench.evaluation.cards import Card
from facebench.evaluation.record import MetricResult
from facebench.metrics.intervals.interval import Interval, share_interval


@dataclass(frozen=True)
class Estimate:
    """Result of one metric function.

    Attributes:
        values: by field; "value" if the function returns one number.
        intervals: by field.
        notes: by field, the reason why the value is None or needs care.
        counts: numbers of images, pairs or identities.
        reason: why there is no value.
        interval_reason: why the value has no interval.
        curve: data of a plot (`facebench.evaluation.curves`).
    """

    values: Mapping[str, float | None] = field(default_factory=dict)
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    reason: str = ""
    interval_reason: str = ""
    curve: Mapping[str, Any] | None = None


def metric_result(card: Card, estimate: Estimate) -> MetricResult:
    """Return the entry of one card from an estimate that several cards may share."""
    name = card.field or ("mean" if "value" not in estimate.values else "value")
    value = estimate.values.get(name)
    interval = estimate.intervals.get(name) if value is not None else None
    if value is not None and interval is not None:
        interval = _clamp(card, value, interval, _independent_samples(estimate))
    note = estimate.notes.get(name, "")
    reason = estimate.reason or note or "it is not defined for these features (NaN or infinite)"
    return MetricResult(
        title=card.title,
        value=value,
        low=None if interval is None else _finite(interval.low),
        high=None if interval is None else _finite(interval.high),
        level=None if interval is None else interval.level,
        method=_method(interval),
        n=dict(estimate.counts),
        better=card.better,
        unit=card.unit,
        decimals=card.decimals,
        depends_on_n=card.depends_on_n,
        backbone=card.reads.backbone,
        reason="" if value is not None else reason,
        note="" if value is None else _note(card, estimate, note, interval),
    )


def _clamp(card: Card, value: float, interval: Interval, n: int) -> Interval:
    """Clamp an interval to the range of the card; cards that share one computation have different ranges."""
    low = -math.inf if card.range[0] is None else card.range[0]
    high = math.inf if card.range[1] is None else card.range[1]
    clamped = replace(interval, low=max(interval.low, low), high=min(interval.high, high))
    return share_interval(value, clamped, n) if card.range == (0, 1) else clamped


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _method(interval: Interval | None) -> str:
    if interval is None:
        return "none"
    is_exact = interval.method == "rule of three"
    return interval.method if is_exact else f"{interval.method} ({interval.resamples})"


def _independent_samples(estimate: Estimate) -> int:
    """Return the number of identities for pairs, else the number of images of the smaller set."""
    counts = estimate.counts
    if "identities" in counts:
        return counts["identities"]
    return min((counts[name] for name in ("generated", "reference") if name in counts), default=0)


def _note(card: Card, estimate: Estimate, note: str, interval: Interval | None) -> str:
    """Return why the value needs care."""
    size = _independent_samples(estimate)
    notes = [note]
    if size < card.reliable_n:
        unit = "identities" if "identities" in estimate.counts else "images"
        notes.append(f"{size} {unit}, reliable from {card.reliable_n}")
    if interval is not None and interval.note:
        notes.append(interval.note)
    notes.append(estimate.interval_reason)
    return "; ".join(part for part in notes if part)
