"""The closest training face of every generated one, for the per-image table and the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from facebench import metrics
from facebench.core.tables import Cell, Column, Table
from facebench.evaluation.cards import Card
from facebench.evaluation.per_image_values import threshold_of
from facebench.evaluation.record import Run
from facebench.evaluation.role_features import Roles

SHOWN = 10


def add_closest(table: pd.DataFrame, cards: Sequence[Card], roles: Roles) -> pd.DataFrame:
    """The per-image table with `closest:BACKBONE` (name of the training face) and `closest_cosine:BACKBONE`.

    Only for networks that a leakage metric reads, and where a reference set was given. For sets given by name the
    columns end in `@NAME`.
    """
    names = {card.reads.backbone: str(card.reads.array) for card in cards if card.compute == "leakage"}
    for role in [role for role in roles.extractions if role.partition(":")[0] == "reference"]:
        for backbone, array in names.items():
            _add_closest(table, roles, role, backbone, array)
    return table


def _add_closest(table: pd.DataFrame, roles: Roles, role: str, backbone: str, array: str) -> None:
    generated, valid = roles.rows("generated", backbone, array)
    training, known = roles.rows(role, backbone, array)
    if not valid.any() or not known.any():
        return
    places, cosines = metrics.closest_faces(generated[valid], training[known])
    items = [item for item, keep in zip(roles.extractions[role].items, known, strict=True) if keep]
    rows = np.flatnonzero(table["role"] == "generated")[valid]
    name = backbone + role.removeprefix("reference").replace(":", "@")
    table.loc[rows, f"closest:{name}"] = [items[place].name for place in places]
    table.loc[rows, f"closest_cosine:{name}"] = cosines


@dataclass(frozen=True)
class Closest:
    """The generated faces that are most alike to training faces, by one network and one training set.

    Attributes:
        backbone: whose cosine.
        role: of the training set.
        pairs: names of the generated and of the training face, and their cosine; most alike first.
        threshold: the cosine from which a face counts as found; None where it was not measured.
    """

    backbone: str
    role: str
    pairs: list[tuple[str, str, float]]
    threshold: float | None


def closest_pairs(run: Run, shown: int = SHOWN) -> list[Closest]:
    """The most alike pairs of a run, for every network and training set that they were looked for with."""
    table = run.per_image
    names = [] if table is None else [str(name) for name in table.columns]
    found = []
    for name in (name.partition(":")[2] for name in names if name.startswith("closest_cosine:")):
        assert table is not None
        backbone, _, reference = name.partition("@")
        worst = table.dropna(subset=[f"closest_cosine:{name}"]).nlargest(shown, f"closest_cosine:{name}")
        columns = (worst["image"], worst[f"closest:{name}"], worst[f"closest_cosine:{name}"])
        pairs = [(str(a), str(b), float(c)) for a, b, c in zip(*columns, strict=True)]
        role = f"reference:{reference}" if reference else "reference"
        found.append(Closest(backbone, role, pairs, threshold_of(backbone, reference, run)))
    return found


def worst_pairs(run: Run) -> Table | None:
    """The generated faces that are most alike to a training face; None where none was looked for."""
    found = closest_pairs(run)
    if not found:
        return None
    heads = [
        Column("image", "Generated", numeric=False),
        Column("closest", "Closest training face", numeric=False),
        Column("cosine", "Cosine"),
    ]
    rows = [
        [Cell(image), Cell(other), Cell(f"{cosine:.3f}", cosine)] for image, other, cosine in found[0].pairs
    ]
    others = [f"{each.backbone} against {each.role}" for each in found[1:]]
    notes = [f"Also in the per-image table: {', '.join(others)}."] if others else []
    return Table(heads, rows, caption=f"most alike, by {found[0].backbone}", notes=notes)
