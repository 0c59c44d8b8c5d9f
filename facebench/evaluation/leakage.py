"""The closest training face of every generated face, for the per-image table and the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from facebench import metrics
from facebench.core.tables import Cell, Column, Table
from facebench.evaluation.cards import Card, load_cards
from facebench.evaluation.record import Run
from facebench.evaluation.role_features import RoleFeatures
from facebench.metrics.registry import metric_function

LISTED_PAIRS = 10


def add_closest(table: pd.DataFrame, cards: Sequence[Card], features: RoleFeatures) -> pd.DataFrame:
    """Return the per-image table with `closest:BACKBONE` (training face) and `closest_cosine:BACKBONE`.

    The columns exist for networks of leakage metrics if there is a reference set. For named sets they end in
    `@NAME`.
    """
    arrays = {
        card.reads.backbone: str(card.reads.array)
        for card in cards
        if metric_function(card.compute).sample == "leakage"
    }
    for role in [role for role in features.extractions if role.partition(":")[0] == "reference"]:
        for backbone, array in arrays.items():
            _add_closest(table, features, role, (backbone, array))
    return table


def closest_column(backbone: str, reference: str = "", *, cosine: bool = True) -> str:
    """Return the column of the closest training face: its cosine, or its name."""
    kind = "closest_cosine" if cosine else "closest"
    return f"{kind}:{backbone}@{reference}" if reference else f"{kind}:{backbone}"


def leakage_threshold(backbone: str, reference: str, run: Run) -> float | None:
    """Return the cosine threshold of a match with a training identity; None if it was not measured."""
    for metric, result in run.metrics.items():
        name, _, against = metric.partition("@")
        card = load_cards().get(name)
        if card is None or (card.compute, card.field) != ("leakage", "threshold"):
            continue
        if (card.reads.backbone, against) == (backbone, reference):
            return result.value
    return None


@dataclass(frozen=True)
class ClosestFaces:
    """The generated faces most similar to training faces, by one network and one training set.

    Attributes:
        backbone: network of the cosine.
        role: role of the training set.
        pairs: names of the generated face and of the training face, and their cosine; most similar first.
        threshold: cosine threshold of a match with a training identity; None if it was not measured.
    """

    backbone: str
    role: str
    pairs: list[tuple[str, str, float]]
    threshold: float | None


def closest_pairs(run: Run, count: int = LISTED_PAIRS) -> list[ClosestFaces]:
    """Return the most similar pairs of a run, for every network and training set of its leakage metrics."""
    table = run.per_image
    if table is None:
        return []
    closest = []
    prefix = closest_column("")
    for column in (str(column) for column in table.columns if str(column).startswith(prefix)):
        backbone, _, reference = column.removeprefix(prefix).partition("@")
        worst = table.dropna(subset=[column]).nlargest(count, column)
        names = worst[closest_column(backbone, reference, cosine=False)]
        columns = (worst["image"], names, worst[column])
        pairs = [(str(a), str(b), float(c)) for a, b, c in zip(*columns, strict=True)]
        role = f"reference:{reference}" if reference else "reference"
        closest.append(ClosestFaces(backbone, role, pairs, leakage_threshold(backbone, reference, run)))
    return closest


def closest_table(run: Run) -> Table | None:
    """Return a table of the generated faces most similar to training faces; None without leakage metrics."""
    closest = closest_pairs(run)
    if not closest:
        return None
    first, *further = closest
    columns = [
        Column("image", "Generated", numeric=False),
        Column("closest", "Closest training face", numeric=False),
        Column("cosine", "Cosine"),
    ]
    rows = [
        [Cell(image), Cell(training), Cell(f"{cosine:.3f}", cosine)]
        for image, training, cosine in first.pairs
    ]
    names = [f"{each.backbone} against {each.role}" for each in further]
    notes = [f"Also in the per-image table: {', '.join(names)}."] if names else []
    return Table(columns, rows, caption=f"most similar, by {first.backbone}", notes=notes)


def _add_closest(table: pd.DataFrame, features: RoleFeatures, role: str, embedding: tuple[str, str]) -> None:
    backbone, array = embedding
    generated, valid = features.rows("generated", backbone, array)
    training, training_valid = features.rows(role, backbone, array)
    if not valid.any() or not training_valid.any():
        return
    places, cosines = metrics.closest_faces(generated[valid], training[training_valid])
    every = zip(features.extractions[role].items, training_valid, strict=True)
    names = [item.name for item, is_valid in every if is_valid]
    rows = np.flatnonzero(table["role"] == "generated")[valid]
    reference = role.partition(":")[2]
    table.loc[rows, closest_column(backbone, reference, cosine=False)] = [names[place] for place in places]
    table.loc[rows, closest_column(backbone, reference)] = cosines
