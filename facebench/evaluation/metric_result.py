"""Convert an estimate to the entry of a metric in the run record: range, interval and notes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from facebench.evaluation.cards import Card
from facebench.evaluation.record import MetricResult
from facebench.metrics.interval import Interval, join_notes
from facebench.metrics.intervals.shares import share_interval


@dataclass(frozen=True)
class Estimate:
    """Result of one metric function.

    Attributes:
        values: by field; "value" if the function returns one number.
        intervals: by field.
        notes: by field, the reason why the value is None or needs care.
        counts: numbers of images, pairs or identities.
        reason: cause of a missing value.
        interval_reason: why the value has no interval.
        curve: data of a plot (`facebench.evaluation.curves`).
        generalises_to: what the intervals generalise to, such as "new people".
        digests: digests of the names of the generated and of the reference units.
    """

    values: Mapping[str, float | None] = field(default_factory=dict)
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    reason: str = ""
    interval_reason: str = ""
    curve: Mapping[str, Any] | None = None
    generalises_to: str = ""
    digests: tuple[str, str] = ("", "")


def metric_result(card: Card, estimate: Estimate) -> MetricResult:
    """Return the entry of one card from an estimate that several cards may share."""
    name = field_of(card, estimate.values)
    value = estimate.values.get(name)
    interval = estimate.intervals.get(name) if value is not None else None
    if value is not None and interval is not None:
        interval = _clamp(card, interval)
        if card.share:
            interval = share_interval(value, interval, card.range[1] or 1.0)
    note = estimate.notes.get(name, "")
    reason = estimate.reason or note or "it is not defined for these features (NaN or infinite)"
    return MetricResult(
        title=card.title,
        value=value,
        low=None if interval is None else _finite(interval.low),
        high=None if interval is None else _finite(interval.high),
        level=None if interval is None else interval.level,
        method=_method(interval),
        resampled="" if interval is None else interval.unit,
        generalises_to="" if interval is None else estimate.generalises_to,
        units=None if interval is None else round(interval.units, 2),
        n=dict(estimate.counts),
        better=card.better,
        unit=card.unit,
        decimals=card.decimals,
        depends_on_n=card.depends_on_n,
        backbone=card.reads.backbone,
        reason="" if value is not None else reason,
        note="" if value is None else _note(card, estimate, note, interval),
    )


def field_of(card: Card, values: Mapping[str, Any]) -> str:
    """Return the field, among the values by field, that a card reports."""
    return card.field or ("mean" if "value" not in values else "value")


def _clamp(card: Card, interval: Interval) -> Interval:
    """Clamp an interval to the range of the card."""
    low = -math.inf if card.range[0] is None else card.range[0]
    high = math.inf if card.range[1] is None else card.range[1]
    return replace(interval, low=max(interval.low, low), high=min(interval.high, high))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _method(interval: Interval | None) -> str:
    if interval is None:
        return "none"
    return f"{interval.method} ({interval.resamples})" if interval.resamples else interval.method


def _independent_samples(estimate: Estimate, interval: Interval | None) -> tuple[float, str]:
    """Return the effective number of identities for pairs, of clips, else of images of the smaller set."""
    counts = estimate.counts
    if "identities" in counts:
        effective = counts["identities"] if interval is None else interval.units
        return effective, "identities"
    if "clips" in counts:
        return counts["clips"], "clips"
    return min((counts[name] for name in ("generated", "reference") if name in counts), default=0), "images"


def _note(card: Card, estimate: Estimate, note: str, interval: Interval | None) -> str:
    """Return why the value needs care."""
    size, unit = _independent_samples(estimate, interval)
    notes = [note]
    if size < card.reliable_n:
        notes.append(f"{size:.4g} {unit}, reliable from {card.reliable_n}")
    return join_notes(*notes, "" if interval is None else interval.note, estimate.interval_reason)
