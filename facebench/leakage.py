"""The closest training face of every generated one, for the per-image table and the terminal."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from facebench import metrics
from facebench.cards import Card
from facebench.report.table import Cell, Column, Table
from facebench.results import Run
from facebench.roles import Roles

SHOWN = 10


def add_closest(table: pd.DataFrame, cards: Sequence[Card], roles: Roles) -> pd.DataFrame:
    """The per-image table with `closest:BACKBONE` (name of the training face) and `closest_cosine:BACKBONE`.

    Only for networks that a leakage metric reads, and where a reference set was given.
    """
    names = {card.reads.backbone: card.reads.array for card in cards if card.compute == "leakage"}
    if "reference" not in roles.extractions:
        return table
    for backbone, array in names.items():
        generated, valid = roles.rows("generated", backbone, str(array))
        training, known = roles.rows("reference", backbone, str(array))
        if not valid.any() or not known.any():
            continue
        places, cosines = metrics.closest(generated[valid], training[known])
        items = [item for item, keep in zip(roles.extractions["reference"].items, known, strict=True) if keep]
        rows = np.flatnonzero(table["role"] == "generated")[valid]
        table.loc[rows, f"closest:{backbone}"] = [items[place].name for place in places]
        table.loc[rows, f"closest_cosine:{backbone}"] = cosines
    return table


def worst_pairs(run: Run) -> Table | None:
    """The generated faces that are most alike to a training face; None where none was looked for."""
    table = run.per_image
    names = [] if table is None else [str(name) for name in table.columns]
    columns = [name for name in names if name.startswith("closest_cosine:")]
    if table is None or not columns:
        return None
    backbone = columns[0].partition(":")[2]
    worst = table.dropna(subset=[columns[0]]).nlargest(SHOWN, columns[0])
    rows = [
        [Cell(str(image)), Cell(str(other)), Cell(f"{cosine:.3f}", float(cosine))]
        for image, other, cosine in zip(
            worst["image"], worst[f"closest:{backbone}"], worst[columns[0]], strict=True
        )
    ]
    heads = [
        Column("image", "Generated", numeric=False),
        Column("closest", "Closest training face", numeric=False),
        Column("cosine", "Cosine"),
    ]
    return Table(heads, rows, caption=f"most alike, by {backbone}")
