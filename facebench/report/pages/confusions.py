"""Confusion matrices of expressions on pages: of networks on labelled images, and of edits by wanted expression."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from markupsafe import Markup

from facebench.compare.affect_tables import affect_tables
from facebench.core.html import environment
from facebench.evaluation.record import Run
from facebench.report.column_labels import network_name


@dataclass(frozen=True)
class ConfusionCell:
    """Share of the images of a row; `strength` is the share in percent, for the colour."""

    text: str
    share: float
    count: int
    strength: int


@dataclass(frozen=True)
class ConfusionMatrix:
    """Shares of images by true or wanted expression, in rows, and by the expression that a network reads.

    Attributes:
        caption: what rows and columns are.
        columns: expressions that the network reads.
        rows: expression, number of images and cells.
    """

    caption: str
    columns: list[str]
    rows: list[tuple[str, int, list[ConfusionCell]]]


def expression_tables(run: Run, text: dict[str, Any]) -> list[str]:
    """Return confusion matrices and the tables about labelled images as HTML; empty for a run without either."""
    matrices = [*_of_labels(run, text), *_of_edits(run, text)]
    template = environment("facebench.report.pages").get_template("confusion.html")
    tables = [template.render(matrix=matrix, text=text, run=run.name) for matrix in matrices]
    return tables + [Markup(table.without_empty_columns().html()) for table in affect_tables(run)]


def _of_labels(run: Run, text: dict[str, Any]) -> list[ConfusionMatrix]:
    """Matrices of affect networks on labelled images."""
    return [
        _matrix(
            text["confusion_caption"].format(network=network_name(network), rows=text["labels_of"]),
            confusion.classes,
            list(zip(confusion.classes, confusion.counts, strict=True)),
        )
        for network, confusion in run.confusions.items()
    ]


def _of_edits(run: Run, text: dict[str, Any]) -> list[ConfusionMatrix]:
    """Matrices of the strongest edits of each source towards each expression."""
    table = run.per_image
    if table is None:
        return []
    rows = table[table["role"] == "generated"]
    names = [str(name).partition(":")[2] for name in rows.columns if str(name).startswith("predicted:")]
    matrices = []
    for network in names:
        wanted, predicted = f"wanted:{network}", f"predicted:{network}"
        known = _strongest(rows[rows[predicted].notna()], wanted)
        classes = sorted({*known[wanted], *known[predicted]})
        counts = pd.crosstab(known[wanted], known[predicted]).reindex(columns=classes, fill_value=0)
        caption = text["confusion_caption"].format(network=network_name(network), rows=text["wanted_of"])
        if len(known):
            lines = [(str(name), [int(count) for count in line]) for name, line in counts.iterrows()]
            matrices.append(_matrix(caption, classes, lines))
    return matrices


def _strongest(rows: pd.DataFrame, wanted: str) -> pd.DataFrame:
    strength = pd.to_numeric(rows["strength"], errors="coerce") if "strength" in rows else None
    if strength is None or strength.isna().all() or "source" not in rows:
        return rows
    ordered = rows.assign(_strength=strength).sort_values("_strength", kind="stable")
    return ordered.groupby(["source", wanted], sort=False).tail(1)


def _matrix(
    caption: str, classes: Sequence[str], lines: Sequence[tuple[str, Sequence[int]]]
) -> ConfusionMatrix:
    rows = []
    for name, counts in lines:
        total = sum(counts)
        shares = [count / total if total else 0.0 for count in counts]
        cells = [
            ConfusionCell(f"{share:.0%}" if count else "", share, count, round(100 * share))
            for share, count in zip(shares, counts, strict=True)
        ]
        rows.append((name, total, cells))
    return ConfusionMatrix(caption, list(classes), rows)
