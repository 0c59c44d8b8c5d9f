"""Published values, shown with measured ones: always marked, never ranked with them."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from facebench.core.errors import InputError
from facebench.core.shipped_data import data_folder
from facebench.core.suggest import suggest
from facebench.core.tables import Cell, Column, Table
from facebench.evaluation.cards import Card, find_card
from facebench.evaluation.protocols import Published, PublishedTable, find_protocol
from facebench.evaluation.record import MetricResult
from facebench.evaluation.trained_protocols import Measure, TrainedProtocol, load_trained_protocols

MARK = "published"


@dataclass
class PublishedRow:
    """Published values of one method.

    Attributes:
        name: of the method.
        tags: in the terms of the tags of runs.
        source: the publication.
        metrics: results by metric id.
    """

    name: str
    tags: dict[str, str]
    source: str
    metrics: dict[str, MetricResult] = field(default_factory=dict)


def published_rows(protocol: str) -> list[PublishedRow]:
    """Return the published rows of a protocol, in the order of the publication; empty when there are none."""
    definition = load_trained_protocols().get(protocol) or find_protocol(protocol)
    if definition.published is None:
        return []
    measures = definition.measures if isinstance(definition, TrainedProtocol) else {}
    rows: dict[tuple[str, ...], PublishedRow] = {}
    for table in definition.published.tables:
        for line in _lines(table):
            row = _row(definition.published, line)
            row = rows.setdefault((row.name, *row.tags.values()), row)
            row.metrics.update(_results(table, line, measures))
    return list(rows.values())


def tables() -> tuple[str, ...]:
    """Return the names of the published tables."""
    return tuple(sorted(file.stem for file in _folder().glob("*.csv")))


def published_list() -> Table:
    """Return the names of the published tables with their number of rows and columns."""
    columns = [Column("table", "Table", numeric=False), Column("rows", "Rows"), Column("columns", "Columns")]
    rows = []
    for name in tables():
        lines = _read(name + ".csv")
        counts = (len(lines), len(lines[0]))
        rows.append([Cell(name), *(Cell(str(count), count) for count in counts)])
    return Table(columns, rows)


def published_table(name: str) -> Table:
    """Return one table as published.

    Raises:
        InputError: the table is unknown.
    """
    if name not in tables():
        raise InputError(f"'{name}' is not a published table. {suggest(name, tables())}")
    lines = _read(name + ".csv")
    texts = [key for key in lines[0] if any(_number(line[key]) is None for line in lines if line[key])]
    columns = [Column(key, key.replace("_", " "), numeric=key not in texts) for key in lines[0]]
    rows = [
        [Cell(value or "–", None if key in texts else _number(value)) for key, value in line.items()]
        for line in lines
    ]
    return Table(columns, rows, caption=f"{name} · {MARK}", notes=["Published numbers, not measured here."])


def _row(published: Published, line: dict[str, str]) -> PublishedRow:
    """A row with the name and tags of a line; lines of real faces have the first tag and no name."""
    tags = {tag: line[column] for tag, column in published.tags.items() if line[column]}
    name = line[published.name]
    if not name and len(tags) == 1:
        return PublishedRow(f"{next(iter(tags.values()))} (real faces)", {}, published.source)
    return PublishedRow(name or "no fine-tuning", tags, published.source)


def _results(
    table: PublishedTable, line: dict[str, str], measures: Mapping[str, Measure]
) -> dict[str, MetricResult]:
    results = {}
    for column, metric in table.columns.items():
        card = measures[metric] if metric in measures else find_card(metric.partition("@")[0])
        text = line[column]
        results[metric] = MetricResult(
            title=card.title,
            value=float(text),
            better=card.better,
            decimals=len(text.partition(".")[2]),
            backbone=card.reads.backbone if isinstance(card, Card) else "trained",
        )
    return results


def _lines(table: PublishedTable) -> list[dict[str, str]]:
    lines = _read(table.file)
    missing = {*table.columns, *table.where} - set(lines[0])
    if missing:
        raise InputError(f"published/{table.file} has no column {', '.join(sorted(missing))}.")
    return [line for line in lines if all(line[key] == value for key, value in table.where.items())]


@cache
def _read(file: str) -> list[dict[str, str]]:
    with (_folder() / file).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _folder() -> Path:
    return data_folder("published")
