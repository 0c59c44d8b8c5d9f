"""Evaluate metric cards on extracted features: values, intervals and curves."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import numpy as np

from facebench import metrics
from facebench.core.errors import InputError
from facebench.core.progress import Progress
from facebench.evaluation.cards import Card
from facebench.evaluation.curves import frechet_against_n, score_curve
from facebench.evaluation.edit_curve import trade_off_curve
from facebench.evaluation.leave_out import LeaveOut, leave_out_of
from facebench.evaluation.metric_result import Estimate, field_of, metric_result
from facebench.evaluation.record import MetricResult
from facebench.evaluation.resampling_units import generalises_to
from facebench.evaluation.role_features import RoleFeatures
from facebench.evaluation.sample_selection import draw_sample
from facebench.evaluation.samples import (
    Clips,
    EditGrid,
    IdentityPairs,
    MemberSets,
    Sample,
    SubjectPairs,
    TwoSets,
)
from facebench.metrics import intervals
from facebench.metrics.interval import Interval, join_notes
from facebench.metrics.intervals.estimate import MAX_STORED_PAIRS
from facebench.metrics.intervals.leakage import leakage_intervals
from facebench.metrics.intervals.subject import bootstrap_subject, subject_scores
from facebench.metrics.leakage import leakage_scores
from facebench.metrics.moments import Moments
from facebench.metrics.registry import MetricFunction, metric_function

_SHARED_KEYS = {
    "compute",
    "params",
    "reads",
    "identity_by",
    "false_match_rate",
    "over_frames",
    "needs",
    "interval",
    "smallest_n",
}
"""Cards that agree in these keys share one computation."""


@dataclass(frozen=True)
class Estimates:
    """Results by metric id, the data of plots, and the values without each group of units."""

    results: dict[str, MetricResult]
    curves: dict[str, Any]
    leave_out: list[LeaveOut]


def estimate_metrics(
    cards: Sequence[Card], features: RoleFeatures, *, seed: int, progress: Progress
) -> Estimates:
    """Compute every card; cards that differ only in `field` share one computation.

    Against named reference sets a card is computed once for each set, under the id `card@NAME`.
    """
    estimates: dict[str, Estimate] = {}
    results, leave_out = {}, []
    for place, card in enumerate(cards):
        progress("metrics", place, len(cards))
        for name, view in reference_views(card, features):
            key = json.dumps([name, card.model_dump(include=_SHARED_KEYS)])
            named = _card_against(card, name) if name else card
            if key not in estimates:
                estimates[key] = _estimate(named, view, seed)
            results[named.id] = metric_result(named, estimates[key])
            leave_out.append(leave_out_of(named, estimates[key]))
    progress("metrics", len(cards), len(cards))
    return Estimates(results, _curves(estimates.values()), [each for each in leave_out if each.values])


def reference_views(card: Card, features: RoleFeatures) -> list[tuple[str, RoleFeatures]]:
    """Return the features once, or once for every named reference set.

    Verification uses only the sets that contain any of the generated identities.
    """
    names = features.reference_names if "reference" in card.needs else []
    if "identities" in card.needs:
        identities = set(features.identities("generated")) - {None}
        shared = [name for name in names if identities & set(features.identities(f"reference:{name}"))]
        names = shared or names[:1]
    return [(name, features.with_reference(name)) for name in names] or [("", features)]


def _card_against(card: Card, name: str) -> Card:
    return card.model_copy(update={"id": f"{card.id}@{name}", "title": f"{card.title}, against {name}"})


def _curves(estimates: Iterable[Estimate]) -> dict[str, Any]:
    curves = [estimate.curve for estimate in estimates if estimate.curve is not None]
    return {
        "scores": [curve for curve in curves if "fmr" in curve],
        "frechet": [curve for curve in curves if "distances" in curve],
        "edits": [curve for curve in curves if "strengths" in curve],
    }


def _estimate(card: Card, features: RoleFeatures, seed: int) -> Estimate:
    """Compute a card on its sample; return an estimate with a reason if this is impossible."""
    counts: Mapping[str, int] = {}
    try:
        sample = draw_sample(card, features)
        counts = sample.counts
        if sample.size < card.smallest_n:
            raise InputError(f"{sample.size} {sample.unit}, at least {card.smallest_n} are needed")
        estimate = _compute(card, sample, seed)
    except InputError as error:
        return Estimate(counts=counts, reason=str(error))
    units = sample.reference_units if isinstance(sample, TwoSets) else None
    reference = "" if units is None else units.digest
    return replace(
        estimate,
        generalises_to=generalises_to(sample.units, features),
        digests=(sample.units.digest, reference),
    )


def _compute(card: Card, sample: Sample, seed: int) -> Estimate:
    function = metric_function(card.compute)
    if isinstance(sample, SubjectPairs):
        return _estimate_subject(sample, seed)
    if isinstance(sample, IdentityPairs):
        return _estimate_verification(card, function, sample, seed)
    if isinstance(sample, TwoSets) and function.sample == "leakage":
        return _estimate_leakage(card, sample, seed)
    return _estimate_rows(card, function, sample, seed)


def _estimate_rows(card: Card, function: MetricFunction, sample: Sample, seed: int) -> Estimate:
    """Compute a function of one set, two sets, or paired rows."""
    arguments = function.order(**sample.arrays)
    bound = functools.partial(function.function, **card.params)
    if function.has_interval and isinstance(sample, TwoSets):
        bound = functools.partial(bound, units=(sample.units, sample.reference_units), seed=seed)
    answer = bound(*arguments)
    try:
        found, interval_reason = _intervals(card, bound, sample, seed), ""
        if function.has_interval:
            found = {"value": answer.interval}
    except InputError as error:
        found, interval_reason = {}, f"no interval: {error}"
    values, notes = numbers_of(answer), _notes(answer, sample)
    if sample.remark:
        name = field_of(card, values)
        notes[name] = join_notes(sample.remark, notes.get(name, ""))
    return Estimate(
        values=values,
        intervals=found,
        interval_reason=interval_reason,
        notes=notes,
        counts=sample.counts,
        curve=_curve(card, function, sample, answer, seed),
    )


def _curve(
    card: Card, function: MetricFunction, sample: Sample, answer: Any, seed: int
) -> dict[str, Any] | None:
    """Return the data of a plot of the metric against the number of images, or against the strength of edits."""
    if isinstance(sample, EditGrid):
        return trade_off_curve(card, sample, seed)
    arguments = function.order(**sample.arrays)
    return frechet_against_n(card.id, arguments, answer, seed) if function.plotted_against_n else None


def _notes(answer: object, sample: Sample) -> dict[str, str]:
    """Return the notes of a result by field; a note of the sample holds for every field."""
    notes = dict(getattr(answer, "notes", {}))
    note = sample.note if isinstance(sample, TwoSets) else ""
    return {name: join_notes(notes.get(name, ""), note) for name in numbers_of(answer)} if note else notes


def _intervals(card: Card, function: Callable[..., Any], sample: Sample, seed: int) -> dict[str, Interval]:
    """Return the intervals by field, for the resampling units of the sample."""
    arguments = metric_function(card.compute).order(**sample.arrays)
    if isinstance(sample, Clips) and sample.size < 2:
        raise InputError("one clip does not show how clips vary")
    if card.interval == "bootstrap_images":
        return intervals.bootstrap_images(function, *arguments, units=sample.units, seed=seed)
    if isinstance(sample, TwoSets) and isinstance(sample.reference, Moments):
        return intervals.jackknife_against(sample.generated, sample.reference, units=sample.units, seed=seed)
    if card.interval == "jackknife" and not metric_function(card.compute).has_interval:
        sides = [sample.units, sample.reference_units] if isinstance(sample, TwoSets) else [sample.units]
        sides += [sample.held_out_units] if isinstance(sample, MemberSets) else []
        units = [each for each in sides if each is not None]
        return intervals.jackknife(function, *arguments, units=units, seed=seed)
    return {}


def _estimate_verification(
    card: Card, function: MetricFunction, sample: IdentityPairs, seed: int
) -> Estimate:
    """Compute verification over pairs of images, from stored scores or counted in blocks for many pairs."""
    pairing = function.pairing
    assert pairing is not None
    embeddings = (sample.generated, sample.identities, sample.reference, sample.reference_identities)
    if pairing.blocked is None or sample.pairs <= MAX_STORED_PAIRS:
        scores = pairing.scores(*embeddings)
        answer = function.function(scores.genuine, scores.impostor)
        curve = metrics.det_curve(scores.genuine, scores.impostor)
        found = intervals.bootstrap_identities(scores, seed=seed, summary=pairing.summary)
    else:
        blocked = pairing.blocked(*embeddings)
        answer, curve = blocked.statistics, blocked.curve
        found = intervals.jackknife_identities(*embeddings, seed=seed)
    counts = {"genuine": answer.genuine_count, "impostor": answer.impostor_count, "identities": sample.size}
    against = "generated" if sample.reference is None else "reference"
    return Estimate(
        values=numbers_of(answer),
        intervals=found,
        notes=dict(answer.notes),
        counts=counts,
        curve=score_curve(curve, answer, card.reads.backbone, against),
    )


def _estimate_subject(sample: SubjectPairs, seed: int) -> Estimate:
    """Compute verification of one identity."""
    scores = subject_scores(sample.generated, sample.others, sample.other_identities, sample.reference)
    answer = metrics.verification(scores.genuine, scores.impostor)
    return Estimate(
        values=numbers_of(answer),
        intervals=bootstrap_subject(scores, seed=seed),
        notes=dict(answer.notes),
        counts={**sample.counts, "genuine": answer.genuine_count, "impostor": answer.impostor_count},
    )


def _estimate_leakage(card: Card, sample: TwoSets, seed: int) -> Estimate:
    """Compute leakage; the intervals include the uncertainty of the threshold from the training set."""
    assert not isinstance(sample.reference, Moments)  # leakage needs images
    scores = leakage_scores(sample.generated, sample.reference, sample.reference_identities, **card.params)
    answer = scores.summary()
    found = leakage_intervals(scores, sample.units)
    similarity = intervals.bootstrap_images(metrics.mean_std, scores.generated, units=sample.units, seed=seed)
    found["similarity"] = similarity["mean"]
    return Estimate(numbers_of(answer), found, dict(answer.notes), sample.counts)


def numbers_of(answer: object) -> dict[str, float | None]:
    """Return the numbers of a result by field; NaN and infinity become None."""
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
