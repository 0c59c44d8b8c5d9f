"""Table of a board: blocks, marks, mean ± std in one cell, published rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from facebench.compare.published import MARK, PublishedRow
from facebench.core.tables import Cell, Column, Mark, Table
from facebench.evaluation.protocols import TableLayout, load_protocols
from facebench.evaluation.record import MetricResult
from facebench.evaluation.trained_protocols import load_trained_protocols


@dataclass(frozen=True)
class Row:
    """One model of a table, measured or published.

    Attributes:
        name: of the model.
        tags: of the run.
        metrics: results by metric id.
        published: whether the numbers come from a publication.
        link: target of the link on the name; empty for none.
        history: results of earlier runs with their dates, oldest first; the last entry is this row.
    """

    name: str
    tags: Mapping[str, str]
    metrics: Mapping[str, MetricResult]
    published: bool = False
    link: str = ""
    history: Sequence[tuple[str, Mapping[str, MetricResult]]] = ()

    def past_values(self, metric: str) -> tuple[tuple[str, float], ...]:
        """Return the values of a metric over time."""
        values = ((date, results[metric].value) for date, results in self.history if metric in results)
        return tuple((date, value) for date, value in values if value is not None)

    def block(self, layout: TableLayout) -> tuple[str, ...]:
        """Return the tags that this row shares with the other rows of its block."""
        return tuple(self.tags.get(tag, "–") for tag in layout.blocks)


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


def arrange_table(
    rows: Sequence[Row], metrics: Sequence[str], layout: TableLayout, caption: str, notes: list[str]
) -> Table:
    """Arrange rows in blocks and mark the best and the second best of each block.

    Published rows are ranked only in a table that has no other rows.
    """
    shown = [metric for metric in metrics if metric not in _spreads(metrics, layout)]
    table = Table(_columns(rows, shown, metrics, layout), caption=caption, notes=notes)
    rank_published = all(row.published for row in rows)
    breaks = []
    for block in dict.fromkeys(row.block(layout) for row in rows):
        members = [row for row in rows if row.block(layout) == block]
        breaks.append(len(table.rows))
        ranked = [row if row.published == rank_published else None for row in members]
        marks = {metric: _marks(ranked, metric, _first_result(rows, metric)) for metric in shown}
        for index, row in enumerate(members):
            cells = [Cell(tag if index == 0 else "") for tag in block]
            cells.append(Cell(row.name, link=row.link))
            for metric in shown:
                spread = row.metrics.get(_spread_of(metric, metrics, layout))
                result = row.metrics.get(metric)
                cells.append(_cell(result, marks[metric][index], spread, row.past_values(metric)))
            table.rows.append(cells)
    table.breaks = breaks[1:]
    return table


def interval_text(result: MetricResult) -> str:
    """Format the interval as `[low, high]`; empty when there is none."""
    if result.low is None or result.high is None:
        return ""
    return f"[{result.low:.{result.decimals}f}, {result.high:.{result.decimals}f}]"


def _columns(
    rows: Sequence[Row], shown: Sequence[str], metrics: Sequence[str], layout: TableLayout
) -> list[Column]:
    columns = [Column(tag, tag.capitalize(), numeric=False) for tag in layout.blocks]
    columns.append(Column("model", "Model", numeric=False))
    for metric in shown:
        result = _first_result(rows, metric)
        title = f"{metric} {result.arrow}".strip()
        columns.append(Column(metric, title, about=result.title, second=_spread_of(metric, metrics, layout)))
    return columns


def _first_result(rows: Sequence[Row], metric: str) -> MetricResult:
    """The result of the first row that has the metric, for its title and direction."""
    return next(row.metrics[metric] for row in rows if metric in row.metrics)


def _spread_of(metric: str, metrics: Sequence[str], layout: TableLayout) -> str:
    """Metric printed as ± std after this one; empty if there is none."""
    name, at, reference = metric.partition("@")
    spread = f"{layout.joined[name]}{at}{reference}" if name in layout.joined else ""
    return spread if spread in metrics else ""


def _spreads(metrics: Sequence[str], layout: TableLayout) -> set[str]:
    return {_spread_of(metric, metrics, layout) for metric in metrics}


def _marks(rows: Sequence[Row | None], metric: str, result: MetricResult) -> list[Mark]:
    """Marks of the rows; None for a row that is not ranked."""
    sign = {"higher": -1.0, "lower": 1.0, "neither": 0.0}[result.better]
    values = [None if row is None or metric not in row.metrics else row.metrics[metric].value for row in rows]
    ranked = sorted({sign * value for value in values if value is not None})
    if sign == 0 or sum(row is not None for row in rows) < 2 or not ranked:
        return [""] * len(values)
    names: dict[float, Mark] = dict(zip(ranked, ("best", "second"), strict=False))
    return ["" if value is None else names.get(sign * value, "") for value in values]


def _cell(
    result: MetricResult | None,
    mark: Mark,
    spread: MetricResult | None,
    history: tuple[tuple[str, float], ...],
) -> Cell:
    if result is None:
        return Cell("–", title="not requested in this run", history=history)
    if result.value is None:
        return Cell("–", title=result.reason, history=history)
    dagger = "†" if result.note else ""
    second = None if spread is None else spread.value
    deviation = "" if second is None else f" ± {second:.{result.decimals}f}"
    return Cell(
        f"{result.value:.{result.decimals}f}{deviation}{dagger}",
        number=result.value,
        small=interval_text(result),
        mark=mark,
        title=result.note,
        second=second,
        history=history,
    )
