"""Rows of the reference side of a metric: features of reference images, or what a statistics file holds of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from facebench.core.errors import InputError
from facebench.evaluation.cards import Card, Reads
from facebench.evaluation.resampling_units import units_of, units_of_names
from facebench.evaluation.role_features import Mask, RoleFeatures
from facebench.evaluation.statistics import ARRAYS, ReferenceStatistics
from facebench.metrics.arrays import Array
from facebench.metrics.moments import Moments
from facebench.metrics.registry import metric_function
from facebench.metrics.units import Units

FRECHET = "frechet_distance"
"""The function that needs only mean and covariance of the reference."""


@dataclass(frozen=True)
class ReferenceRows:
    """Reference side of a metric of two sets.

    Attributes:
        rows: (m, d) features; moments if only mean and covariance are known.
        units: resampling units of the rows; None for moments, which count as exact.
        identities: identity of each row; None where unknown.
        count: number of images; None if unknown.
        note: why the value needs care.
    """

    rows: Array | Moments
    units: Units | None
    identities: list[str | None]
    count: int | None
    note: str = ""


def reference_rows(card: Card, features: RoleFeatures) -> ReferenceRows:
    """Return the reference side of a metric of two sets.

    Raises:
        InputError: the reference is a statistics file that lacks what the metric needs.
    """
    statistics = features.statistics.get("reference")
    if statistics is not None:
        return _rows_of_statistics(card, statistics, features.unit)
    rows, valid = card_rows(features, "reference", card.reads)
    names = zip(features.identities("reference"), valid, strict=True)
    identities = [name for name, is_valid in names if is_valid]
    selected = valid_rows(rows, valid, card.reads)
    return ReferenceRows(selected, units_of(features, "reference", valid), identities, len(selected))


def reference_rows_alone(card: Card, features: RoleFeatures) -> Array:
    """Return the reference rows for a metric of one set; of statistics, those of all images.

    The statistics must hold them (`can_read_alone`).
    """
    statistics = features.statistics.get("reference")
    if statistics is None:
        return valid_rows(*card_rows(features, "reference", card.reads), card.reads)
    assert statistics.sketch is not None
    rows = statistics.sketch.rows
    return valid_rows(rows, np.ones(len(rows), dtype=np.bool_), card.reads)


def can_read_alone(card: Card, statistics: ReferenceStatistics) -> bool:
    """Return whether statistics hold the rows of every image for a metric of one set."""
    origin = statistics.origin
    matches = origin is not None and (origin.network, origin.array) == (card.reads.backbone, card.reads.array)
    return matches and statistics.is_complete and metric_function(card.compute).sample == "set"


def can_read(card: Card, statistics: ReferenceStatistics) -> bool:
    """Return whether a metric of two sets can be computed from reference statistics."""
    return not what_is_missing(card, statistics)


def _rows_of_statistics(card: Card, statistics: ReferenceStatistics, unit: str) -> ReferenceRows:
    missing = what_is_missing(card, statistics)
    if missing:
        raise InputError(missing)
    origin, sketch = statistics.origin, statistics.sketch
    if card.compute == FRECHET and not statistics.is_complete:
        count = None if origin is None else origin.n
        note = "" if origin else "reference statistics without provenance"
        return ReferenceRows(statistics.moments, None, [], count, note)
    assert sketch is not None
    assert origin is not None
    names: list[str | None] = [name or None for name in sketch.identities]
    rows = valid_rows(sketch.rows, np.ones(len(sketch.rows), dtype=np.bool_), card.reads)
    note = "" if statistics.is_complete else f"reference: {len(rows)} of {origin.n} images, drawn at random"
    units = units_of_names(sketch.names, names, unit)
    return ReferenceRows(rows, units, names, len(rows), note)


def what_is_missing(card: Card, statistics: ReferenceStatistics) -> str:
    """Return why a metric cannot be computed from statistics; empty if it can."""
    reads = card.reads
    if metric_function(card.compute).sample != "two_sets":
        return "needs reference images, not their statistics"
    if reads.backbone != statistics.network:
        return f"the reference statistics are of {statistics.network}, not of {reads.backbone}"
    arrays = ARRAYS if statistics.origin is None else (statistics.origin.array,)
    if reads.array not in arrays:
        return f"the reference statistics do not describe the array {reads.array}"
    if card.compute == FRECHET and not reads.normalise:
        return ""
    if statistics.sketch is None:
        return "needs features of reference images; the statistics hold only mean and covariance"
    return ""


def card_rows(features: RoleFeatures, role: str, reads: Reads) -> tuple[Array, Mask]:
    """Return the rows that a metric reads of every item of a role, and a mask of the rows with a result."""
    names = [reads.array] if isinstance(reads.array, str) else list(reads.array)
    columns = [features.rows(role, reads.backbone, name) for name in names]
    rows = columns[0][0] if len(names) == 1 else np.column_stack([column for column, _ in columns])
    return rows, columns[0][1]


def valid_rows(rows: Array, valid: Mask, reads: Reads) -> Array:
    """Return the rows with a result, divided by their norm if the metric asks for it."""
    selected = rows if valid.all() else rows[valid]
    if not reads.normalise or len(selected) == 0:
        return selected
    selected = np.asarray(selected, dtype=np.float64)
    return np.asarray(selected / np.linalg.norm(selected, axis=1, keepdims=True))
