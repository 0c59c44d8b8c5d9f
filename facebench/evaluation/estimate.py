"""Cards meet features: call each card's function with the rows it needs, and put an interval on the answer."""

from __future__ import annotations

import functools
import inspect
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any

import numpy as np

from facebench import metrics
from facebench.core.errors import InputError
from facebench.evaluation.cards import Card
from facebench.evaluation.curves import frechet_against_n, score_curve
from facebench.evaluation.record import MetricResult
from facebench.evaluation.role_features import Roles
from facebench.evaluation.samples import Pairs, Sample, Subject, Versus, draw_sample
from facebench.metrics import intervals
from facebench.metrics.arrays import Array
from facebench.metrics.id_booth import id_booth_summary
from facebench.metrics.intervals.interval import Interval, share_interval
from facebench.metrics.intervals.subject import bootstrap_subject, subject_scores

Progress = Callable[[str, int, int], None]

# Stored scores: 24 bytes a pair. Beyond this many, verification runs in blocks that store none.
MOST_STORED_PAIRS = 20_000_000


@dataclass(frozen=True)
class Estimate:
    """What a function answered: numbers by field name ("value" when there is one), with their intervals."""

    values: Mapping[str, float | None] = field(default_factory=dict)
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    """Field name to the reason why it is None or to be read with care."""
    counts: Mapping[str, int] = field(default_factory=dict)
    reason: str = ""
    """Why there is no value at all."""
    without_interval: str = ""
    """Why there is a value and no interval."""
    curve: Mapping[str, Any] | None = None
    """What a plot of it is drawn from (`facebench.evaluation.curves`)."""


@dataclass(frozen=True)
class Measured:
    """The results by metric id, and what plots are drawn from."""

    results: dict[str, MetricResult]
    curves: dict[str, Any]


def measure(cards: Sequence[Card], roles: Roles, *, seed: int, progress: Progress) -> Measured:
    """Compute every card; cards that differ only in the field they take share one computation.

    Against reference sets given by name a card is computed once for each, under the id `card@NAME`.
    """
    done: dict[str, Estimate] = {}
    results = {}
    for place, card in enumerate(cards):
        progress("metrics", place, len(cards))
        for name, view in _views(card, roles):
            named = card if not name else _against(card, name)
            alike = {"compute", "params", "reads", "needs", "interval", "smallest_n"}
            key = json.dumps([name, card.model_dump(include=alike)])
            if key not in done:
                done[key] = _estimate(named, view, seed)
            results[named.id] = _result(named, done[key])
    progress("metrics", len(cards), len(cards))
    return Measured(results, _curves(done.values()))


def _views(card: Card, roles: Roles) -> list[tuple[str, Roles]]:
    """The roles as a card sees them: once, or once for every reference set that was given by name.

    Verification takes only the sets that hold any of the generated identities.
    """
    names = roles.references if "reference" in card.needs else []
    if "identities" in card.needs:
        own = set(roles.identities("generated")) - {None}
        names = [name for name in names if own & set(roles.identities(f"reference:{name}"))] or names[:1]
    return [(name, roles.against(name)) for name in names] or [("", roles)]


def _against(card: Card, name: str) -> Card:
    return card.model_copy(update={"id": f"{card.id}@{name}", "title": f"{card.title}, against {name}"})


def _curves(estimates: Iterable[Estimate]) -> dict[str, Any]:
    found = [estimate.curve for estimate in estimates if estimate.curve is not None]
    return {
        "scores": [curve for curve in found if "fmr" in curve],
        "frechet": [curve for curve in found if "distances" in curve],
    }


def _estimate(card: Card, roles: Roles, seed: int) -> Estimate:
    """The card's function on its sample; a reason instead where that cannot be."""
    try:
        sample = draw_sample(card, roles)
    except InputError as error:
        return Estimate(reason=str(error))
    if sample.size < card.smallest_n:
        few = f"{sample.size} {sample.unit}, at least {card.smallest_n} are needed"
        return Estimate(counts=sample.counts, reason=few)
    try:
        return _compute(card, sample, seed)
    except InputError as error:
        return Estimate(counts=sample.counts, reason=str(error))


def _compute(card: Card, sample: Sample, seed: int) -> Estimate:
    if isinstance(sample, Pairs):
        released = card.compute == "id_booth_verification"
        return (_verify_released if released else _verify)(card, sample, seed)
    if isinstance(sample, Subject):
        return _verify_subject(sample, seed)
    if isinstance(sample, Versus) and card.compute == "leakage":
        return _leakage(card, sample, seed)
    function = getattr(metrics, card.compute)
    arguments = sample.arguments
    if next(iter(inspect.signature(function).parameters)) == "target":
        arguments.reverse()  # agreement functions speak of the target first, all others of the generated faces
    bound = functools.partial(function, **card.params)
    answer = bound(*arguments)
    against_n = card.compute == "frechet_distance" and len(arguments) == 2
    try:
        found, without = _interval(card, bound, arguments, seed), ""
    except InputError as error:
        found, without = {}, f"no interval: {error}"
    return Estimate(
        values=_numbers(answer),
        intervals=found,
        without_interval=without,
        notes=dict(getattr(answer, "notes", {})),
        counts=sample.counts,
        curve=frechet_against_n(card.id, arguments[0], arguments[1], answer, seed) if against_n else None,
    )


def _interval(
    card: Card, function: Callable[..., Any], arguments: list[Array], seed: int
) -> dict[str, Interval]:
    if card.interval == "bootstrap_images":
        return intervals.bootstrap_images(function, *arguments, seed=seed)
    if card.interval == "jackknife" and min(len(rows) for rows in arguments) >= 4:
        return intervals.jackknife(function, *arguments, seed=seed)
    return {}


def _verify(card: Card, sample: Pairs, seed: int) -> Estimate:
    """Verification over all pairs: scores are held while they fit, else counted in blocks."""
    embeddings = (sample.generated, sample.identities, sample.reference, sample.reference_identities)
    if sample.pairs <= MOST_STORED_PAIRS:
        scores = metrics.pair_scores(*embeddings)
        answer = metrics.verification(scores.genuine, scores.impostor)
        curve = metrics.det_curve(scores.genuine, scores.impostor)
        found = intervals.bootstrap_identities(scores, seed=seed)
    else:
        both = metrics.blocked_verification(*embeddings)
        answer, curve = both.statistics, both.curve
        found = intervals.jackknife_identities(*embeddings, seed=seed)
    return _verified(card, sample, answer, curve, found)


def _verify_released(card: Card, sample: Pairs, seed: int) -> Estimate:
    """Verification over the pair lists of ID-Booth's released scripts, with their operating points."""
    scores = metrics.id_booth_scores(
        sample.generated, sample.identities, sample.reference, sample.reference_identities
    )
    answer = metrics.id_booth_verification(scores.genuine, scores.impostor)
    curve = metrics.det_curve(scores.genuine, scores.impostor)
    found = intervals.bootstrap_identities(scores, seed=seed, summary=id_booth_summary)
    return _verified(card, sample, answer, curve, found)


def _verified(
    card: Card,
    sample: Pairs,
    answer: metrics.Verification,
    curve: metrics.DetCurve,
    found: dict[str, Interval],
) -> Estimate:
    counts = {"genuine": answer.genuine_count, "impostor": answer.impostor_count, "identities": sample.size}
    against = "generated" if sample.reference is None else "reference"
    return Estimate(
        values=_numbers(answer),
        intervals=found,
        notes=dict(answer.notes),
        counts=counts,
        curve=score_curve(curve, answer, card.reads.backbone, against),
    )


def _verify_subject(sample: Subject, seed: int) -> Estimate:
    scores = subject_scores(sample.generated, sample.others, sample.other_identities, sample.reference)
    answer = metrics.verification(scores.genuine, scores.impostor)
    return Estimate(
        values=_numbers(answer),
        intervals=bootstrap_subject(scores, seed=seed),
        notes=dict(answer.notes),
        counts={**sample.counts, "genuine": answer.genuine_count, "impostor": answer.impostor_count},
    )


def _leakage(card: Card, sample: Versus, seed: int) -> Estimate:
    """Leakage; generated images are resampled, the training set and with it the threshold stay."""
    answer = metrics.leakage(sample.generated, sample.reference, sample.reference_identities, **card.params)
    _, cosines = metrics.closest_faces(sample.generated, sample.reference)
    leaked = (cosines >= answer.threshold).astype(np.float64)
    found = {
        name: intervals.bootstrap_images(metrics.mean_std, values, seed=seed)["mean"]
        for name, values in (("share", leaked), ("similarity", cosines))
    }
    return Estimate(_numbers(answer), found, dict(answer.notes), sample.counts)


def _numbers(answer: object) -> dict[str, float | None]:
    """Numbers of a result by field name; NaN and infinity become None."""
    if not is_dataclass(answer):
        return {"value": _finite(answer)}
    values = {entry.name: getattr(answer, entry.name) for entry in fields(answer)}
    return {
        name: _finite(value)
        for name, value in values.items()
        if value is None or isinstance(value, int | float)
    }


def _finite(value: Any) -> float | None:
    return float(value) if value is not None and np.isfinite(value) else None


def _result(card: Card, estimate: Estimate) -> MetricResult:
    name = card.field or ("mean" if "value" not in estimate.values else "value")
    value = estimate.values.get(name)
    interval = estimate.intervals.get(name) if value is not None else None
    if value is not None and interval is not None:
        interval = _within_range(card, value, interval, _independent(estimate))
    reason = (
        estimate.reason
        or estimate.notes.get(name)
        or "it is not defined for these features (NaN or infinite)"
    )
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
        note="" if value is None else _note(card, estimate, estimate.notes.get(name, ""), interval),
    )


def _within_range(card: Card, value: float, interval: Interval, n: int) -> Interval:
    """No end lies where the metric cannot; cards that share one computation differ in their ranges."""
    low = -math.inf if card.range[0] is None else card.range[0]
    high = math.inf if card.range[1] is None else card.range[1]
    clamped = replace(interval, low=max(interval.low, low), high=min(interval.high, high))
    return share_interval(value, clamped, n) if card.range == (0, 1) else clamped


def _method(interval: Interval | None) -> str:
    if interval is None:
        return "none"
    return (
        interval.method if interval.method == "rule of three" else f"{interval.method} ({interval.resamples})"
    )


def _independent(estimate: Estimate) -> int:
    """Independent samples behind a value: identities where pairs were compared, else images of the smaller set."""
    known = [
        estimate.counts[name] for name in ("identities", "generated", "reference") if name in estimate.counts
    ]
    return known[0] if "identities" in estimate.counts else min(known, default=0)


def _note(card: Card, estimate: Estimate, said: str, interval: Interval | None) -> str:
    """Why the value is to be read with care."""
    size = _independent(estimate)
    notes = [said]
    if size < card.reliable_n:
        what = "identities" if "identities" in estimate.counts else "images"
        notes.append(f"{size} {what}, reliable from {card.reliable_n}")
    if interval is not None and interval.note:
        notes.append(interval.note)
    notes.append(estimate.without_interval)
    return "; ".join(note for note in notes if note)
