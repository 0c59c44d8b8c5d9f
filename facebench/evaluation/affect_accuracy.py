"""Judgement of affect networks on labelled images: confusion matrices, recall of each class, and agreement."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from facebench.core.errors import InputError
from facebench.evaluation.cards import Card
from facebench.evaluation.expression_names import expression_name
from facebench.evaluation.record import ClassRecall, Confusion, NetworkAgreement
from facebench.evaluation.role_features import RoleFeatures
from facebench.evaluation.sample_selection import draw_sample
from facebench.evaluation.samples import ImagePairs
from facebench.metrics import intervals
from facebench.metrics.affect_agreement import affect_agreement
from facebench.metrics.arrays import Array
from facebench.metrics.interval import Interval
from facebench.metrics.intervals.shares import share_interval
from facebench.metrics.mean_std import mean_std
from facebench.metrics.units import Units

_SMALLEST_N = 2
_RECALL = "macro_recall"


def confusions(cards: Sequence[Card], features: RoleFeatures, seed: int) -> dict[str, Confusion]:
    """Return the confusion matrix of every network whose recall is measured, by backbone.

    Networks without labelled images of their classes are absent.
    """
    found = {}
    for card in cards:
        if card.compute == _RECALL:
            try:
                sample = draw_sample(card, features)
            except InputError:  # the metric itself states the reason
                continue
            if isinstance(sample, ImagePairs) and len(sample.partner):
                found[card.reads.backbone] = _confusion(sample, _classes(features, card.reads.backbone), seed)
    return found


def agreements(cards: Sequence[Card], features: RoleFeatures, seed: int) -> list[NetworkAgreement]:
    """Return the agreement of every pair of networks: concordance of valence and arousal, share of equal classes."""
    names = list(dict.fromkeys(card.reads.backbone for card in cards if card.compute == _RECALL))
    found = []
    for first, second in itertools.combinations(names, 2):
        for output in ("valence", "arousal", "expression"):
            rows = _common_rows(features, (first, second), output)
            if rows is not None and len(rows[0]) >= _SMALLEST_N:
                found.append(_agreement((first, second), output, rows, seed))
    return found


def scale_warnings(features: RoleFeatures) -> list[str]:
    """Name networks whose valence or arousal has another scale: most values lie outside -1 to 1."""
    warnings = []
    for name, arrays in features.extractions["generated"].arrays.items():
        for output in ("valence", "arousal"):
            if output not in arrays:
                continue
            rows, valid = features.rows("generated", name, output)
            values = rows[valid]
            if len(values) and float(np.median(np.abs(values))) > 1:
                warnings.append(
                    f"{name}: {output} ranges from {values.min():.3g} to {values.max():.3g}, expected is -1 to 1; "
                    "rescale the output of the network"
                )
    return warnings


def _confusion(sample: ImagePairs, classes: tuple[str, ...], seed: int) -> Confusion:
    true = sample.partner.astype(np.int64)
    predicted = sample.generated.argmax(axis=1)
    counts = np.zeros((len(classes), len(classes)), dtype=np.int64)
    np.add.at(counts, (true, predicted), 1)
    recalls = [_recall(name, predicted[true == index] == index, seed) for index, name in enumerate(classes)]
    return Confusion(classes=list(classes), counts=counts.tolist(), recalls=recalls)


def _recall(name: str, correct: Array, seed: int) -> ClassRecall:
    if len(correct) == 0:
        return ClassRecall(expression=name, value=None, n=0)
    value = float(correct.mean())
    interval = share_interval(value, _mean_interval(correct, seed))
    return ClassRecall(expression=name, value=value, low=interval.low, high=interval.high, n=len(correct))


def _mean_interval(values: Array, seed: int) -> Interval:
    values = values.astype(np.float64)
    if len(values) < _SMALLEST_N:
        return Interval(float(values[0]), float(values[0]), 0.95, "none", units=1)
    return intervals.bootstrap_images(mean_std, values, units=Units.rows(len(values)), seed=seed)["mean"]


def _common_rows(
    features: RoleFeatures, networks: tuple[str, str], output: str
) -> tuple[Array, Array] | None:
    """Return the outputs of two networks for the images that both can read; None if one lacks the output."""
    arrays = features.extractions["generated"].arrays
    if any(output not in arrays.get(name, {}) for name in networks):
        return None
    (a, a_valid), (b, b_valid) = (features.rows("generated", name, output) for name in networks)
    both = a_valid & b_valid
    if output != "expression":
        return a[both], b[both]
    labels = (_names(features, name, rows[both]) for name, rows in zip(networks, (a, b), strict=True))
    first, second = labels
    return first, second


def _names(features: RoleFeatures, backbone: str, logits: Array) -> Array:
    classes = np.array([expression_name(name) for name in _classes(features, backbone)])
    return np.asarray(classes[logits.argmax(axis=1)]) if len(logits) else classes[:0]


def _classes(features: RoleFeatures, backbone: str) -> tuple[str, ...]:
    return tuple(getattr(features.extractions["generated"].backbones[backbone], "expressions", ()))


def _agreement(
    networks: tuple[str, str], output: str, rows: tuple[Array, Array], seed: int
) -> NetworkAgreement:
    units = Units.rows(len(rows[0]))
    if output == "expression":
        same = (rows[0] == rows[1]).astype(np.float64)
        value, measure = float(same.mean()), "share of equal classes"
        interval = share_interval(value, _mean_interval(same, seed))
    else:
        value, measure = float(affect_agreement(*rows).ccc), "concordance correlation"
        interval = intervals.bootstrap_images(affect_agreement, *rows, units=units, seed=seed)["ccc"]
    ends = (value, interval.low, interval.high)
    known = [float(end) if np.isfinite(end) else None for end in ends]
    return NetworkAgreement(
        first=networks[0],
        second=networks[1],
        output=output,
        measure=measure,
        value=known[0],
        low=known[1],
        high=known[2],
        n=len(rows[0]),
    )
