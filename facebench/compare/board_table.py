"""Table of a board: blocks, marks, mean ± std in one cell, published rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from facebench.compare.metric_names import metric_names
from facebench.compare.published import MARK, PublishedRow
from facebench.compare.ranked_column import RankedColumn
from facebench.compare.table_row import Row
from facebench.core.errors import InputError
from facebench.core.suggest import suggest
from facebench.core.tables import Cell, Column, Mark, Table
from facebench.evaluation.protocols import TableLayout, load_protocols
from facebench.evaluation.run_table import interval_text
from facebench.evaluation.trained_protocols import load_trained_protocols


def published_row(row: PublishedRow) -> Row:
    """Convert a published row, with a mark after its name."""
    return Row(f"{row.name} ({MARK})", row.tags, row.metrics, published=True)


def published_notes(rows: Sequence[PublishedRow]) -> list[str]:
    """Return one note for each source of published rows."""
    return [
        f"({MARK}): values published by {source}, measured with other tools; not ranked with runs."
        for source in dict.fromkeys(row.source for row in rows)
    ]


def table_layout(protocol: str) -> TableLayout:
    """Return the table layout of a protocol; the default layout for an unknown protocol."""
    known = load_trained_protocols().get(protocol) or load_protocols().get(protocol)
    return TableLayout() if known is None else known.table


@dataclass
class RankedTable(Table):
    """Table of models with the models that cannot be distinguished from the best.

    Attributes:
        best_names: names of these models by metric, over all blocks.
        row_tags: tags of the model of each row.
        row_places: place of each row among the models that were given.
    """

    best_names: dict[str, list[str]] = field(default_factory=dict)
    row_tags: list[Mapping[str, str]] = field(default_factory=list)
    row_places: list[int] = field(default_factory=list)

    def with_links(self, links: Sequence[str]) -> RankedTable:
        """Return the table with links on the names of the models.

        Args:
            links: target for each of the first models that were given; empty for no link.
        """
        name = [column.key for column in self.columns].index("model")
        rows = []
        for cells, place in zip(self.rows, self.row_places, strict=True):
            link = links[place] if place < len(links) else ""
            rows.append([*cells[:name], replace(cells[name], link=link), *cells[name + 1 :]])
        return replace(self, rows=rows)

    def best(self, metric: str) -> list[str]:
        """Return the models that cannot be distinguished from the best; empty if neither direction is better.

        Raises:
            InputError: the table does not have the metric.
        """
        if metric not in self.best_names:
            raise InputError(f"The table has no metric '{metric}'. {suggest(metric, self.best_names)}")
        return self.best_names[metric]


def with_names(table: RankedTable, labels: Mapping[str, str]) -> RankedTable:
    """Return the table with the names of the literature in place of the ids of metrics.

    Args:
        table: the table.
        labels: names that replace them, by id.
    """
    names = metric_names(list(table.best_names), labels)
    columns = [
        replace(
            column,
            title=column.title.replace(column.key, names[column.key]),
            about=f"{column.key}: {column.about}",
        )
        if column.key in names
        else column
        for column in table.columns
    ]
    return replace(table, columns=columns)


def arrange_table(
    rows: Sequence[Row],
    metrics: Sequence[str],
    layout: TableLayout,
    caption: str,
    notes: list[str],
    sort: str | None = None,
) -> RankedTable:
    """Arrange rows in blocks and mark the models of each block that cannot be distinguished from the best.

    Published rows are ranked only in a table that has no other rows.

    Args:
        rows: models.
        metrics: ids of the columns.
        layout: blocks and joined columns.
        caption: title.
        notes: lines below the table.
        sort: metric by which the rows of each block are sorted, with a column of ranks; None keeps the order.
    """
    shown = [metric for metric in metrics if metric not in _spreads(metrics, layout)]
    rank_published = all(row.published for row in rows)
    ranked = [row for row in rows if row.published == rank_published]
    columns = {metric: RankedColumn.of(metric, rows, ranked) for metric in shown}
    by = columns.get(sort or "")
    spreads = {metric: _spread_of(metric, metrics, layout) for metric in shown}
    table = RankedTable(_columns(columns, spreads, layout, by), caption=caption, notes=notes)
    places = {id(row): place for place, row in enumerate(rows)}
    blocks: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        blocks.setdefault(row.block(layout), []).append(row)
    breaks = []
    for block, members in blocks.items():
        breaks.append(len(table.rows))
        ordered = members if by is None else by.sorted(members)
        table.rows += _block_rows(ordered, block, columns, spreads, by)
        table.row_tags += [row.tags for row in ordered]
        table.row_places += [places[id(row)] for row in ordered]
        for metric, column in columns.items():
            table.best_names.setdefault(metric, []).extend(column.best(members))
    table.breaks = breaks[1:]
    return table


def _block_rows(
    rows: Sequence[Row],
    block: tuple[str, ...],
    columns: Mapping[str, RankedColumn],
    spreads: Mapping[str, str],
    by: RankedColumn | None,
) -> list[list[Cell]]:
    """Cells of the rows of one block."""
    marks = {metric: column.marks(rows) for metric, column in columns.items()}
    ranks = by.ranks(rows) if by is not None and _has_ranks(by) else None
    table = []
    for index, row in enumerate(rows):
        cells = [Cell(tag if index == 0 else "") for tag in block]
        cells.append(Cell(row.name))
        cells += [] if ranks is None else [Cell(ranks.get(index, "–"))]
        for metric, column in columns.items():
            spread = row.value(spreads[metric])
            cells.append(_cell(column, row, marks[metric].get(index, ""), spread))
        table.append(cells)
    return table


def _has_ranks(by: RankedColumn) -> bool:
    return by.has_direction and len(by.rows) > 1


def _columns(
    columns: Mapping[str, RankedColumn],
    spreads: Mapping[str, str],
    layout: TableLayout,
    by: RankedColumn | None,
) -> list[Column]:
    headings = [Column(tag, tag.capitalize(), numeric=False) for tag in layout.blocks]
    headings.append(Column("model", "Model", numeric=False))
    if by is not None and _has_ranks(by):
        headings.append(Column("rank", "Rank", numeric=False, about=f"by {by.metric}, with ties"))
    for metric, column in columns.items():
        title = f"{metric} {column.first.arrow}".strip()
        headings.append(Column(metric, title, about=column.first.title, second=spreads[metric]))
    return headings


def _spread_of(metric: str, metrics: Sequence[str], layout: TableLayout) -> str:
    """Metric printed as ± std after this one; empty if there is none."""
    name, at, reference = metric.partition("@")
    spread = f"{layout.joined[name]}{at}{reference}" if name in layout.joined else ""
    return spread if spread in metrics else ""


def _spreads(metrics: Sequence[str], layout: TableLayout) -> set[str]:
    return {_spread_of(metric, metrics, layout) for metric in metrics}


def _cell(column: RankedColumn, row: Row, mark: Mark, spread: float | None) -> Cell:
    result, history = column.result(row), row.past_values(column.metric)
    if result is None:
        return Cell("–", title="not requested in this run", history=history)
    if result.value is None:
        return Cell("–", title=result.reason, history=history)
    dagger = "†" if result.note else ""
    deviation = "" if spread is None else f" ± {spread:.{result.decimals}f}"
    return Cell(
        f"{result.value:.{result.decimals}f}{deviation}{dagger}",
        number=result.value,
        small=" ".join(part for part in (interval_text(result), column.replicates(row)) if part),
        mark=mark,
        title=result.note,
        second=spread,
        history=history,
    )
