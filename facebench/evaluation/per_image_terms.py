"""What metrics of pairs average, image by image: columns of the per-image table, named like the metric.

A cosine of two embeddings cannot be had again from a table that holds no embeddings. With it in the table, two runs
over the same images are compared in pairs, and the worst single images can be shown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from facebench.evaluation.cards import Card
from facebench.evaluation.plan import PAIR_NETWORKS
from facebench.evaluation.role_features import Mask, Roles, Rows
from facebench.images.jpeg_null import ROLE
from facebench.metrics.arrays import Array, Floats
from facebench.metrics.summary import cosine_similarity


def _distance(left: Array, right: Array) -> Floats:
    return np.asarray(np.linalg.norm(left.astype(np.float64) - right, axis=1))


def _same_class(left: Array, right: Array) -> Floats:
    return np.asarray((left.argmax(axis=1) == right.argmax(axis=1)).astype(np.float64))


def _gap(left: Array, right: Array) -> Floats:
    return np.asarray(np.abs(left.astype(np.float64) - right))


# By function and field: the quantity of one pair whose mean over pairs is the metric.
_TERMS: Mapping[tuple[str, str | None], Callable[[Array, Array], Floats]] = {
    ("paired_similarity", "mean"): cosine_similarity,
    ("paired_distance", "mean"): _distance,
    ("class_agreement", "mean"): _same_class,
    ("affect_agreement", "mae"): _gap,
}


def add_terms(table: pd.DataFrame, cards: Sequence[Card], roles: Roles) -> pd.DataFrame:
    """The per-image table with a column for every metric of pairs that its other columns cannot give again.

    NaN where one of the two has no result. Rows of other roles than the generated one stay empty.
    """
    own = np.flatnonzero(table["role"] == "generated")
    found = {}
    for card in cards:
        terms = _terms(card, roles)
        if terms is not None:
            column = np.full(len(table), np.nan)
            column[own] = terms
            found[card.id] = column
    return table.assign(**found)


def _terms(card: Card, roles: Roles) -> Floats | None:
    function = _TERMS.get((card.compute, card.field))
    linked = [need for need in card.needs if need in roles.links]
    paired = bool(linked) and len(linked) == len(card.needs) and card.reads.backbone not in PAIR_NETWORKS
    if function is None or not paired:
        return None
    sides = [_rows(card, roles, role) for role in (linked if len(linked) == 2 else ["generated", *linked])]
    if sides[0][0].ndim == 1 and ROLE not in linked:
        return None  # the numbers of both sides are in the table
    (left, left_valid), (right, right_valid) = sides
    both = left_valid & right_valid & roles.counting
    terms = np.full(len(both), np.nan)
    if both.any():
        terms[both] = function(left[both], right[both])
    return terms


def _rows(card: Card, roles: Roles, role: str) -> tuple[Rows, Mask]:
    """For every generated item the row that a role has for it, and whether there is one."""
    rows, valid = roles.rows(role, card.reads.backbone, str(card.reads.array))
    if role == "generated":
        return rows, valid
    partner = roles.links[role]
    return rows[partner], (partner >= 0) & valid[partner]
