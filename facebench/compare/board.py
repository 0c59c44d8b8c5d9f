"""How a board becomes a table: blocks, marks, mean ± std in one cell, published rows."""

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
    """A model in a table, measured or published."""

    name: str
    tags: Mapping[str, str]
    metrics: Mapping[str, MetricResult]
    published: bool = False
    link: str = ""
    """Where its name leads on a page."""
    history: Sequence[tuple[str, Mapping[str, MetricResult]]] = ()
    """When it was measured and what came out, oldest first; this row is the last."""

    def past(self, metric: str) -> tuple[tuple[str, float], ...]:
        """The values of a metric over time."""
        found = ((when, results[metric].value) for when, results in self.history if metric in results)
        return tuple((when, value) for when, value in found if value is not None)

    def block(self, layout: TableLayout) -> tuple[str, ...]:
        """What it has in common with the other rows of its block."""
        return tuple(self.tags.get(tag, "–") for tag in layout.blocks)


def published_row(row: PublishedRow) -> Row:
    """A published row, marked as one."""
    return Row(f"{row.name} ({MARK})", row.tags, row.metrics, published=True)


def layout_of(protocol: str) -> TableLayout:
    """How a protocol wants its table; the plain one for a protocol that is not known here."""
    known = load_trained_protocols().get(protocol) or load_protocols().get(protocol)
    return TableLayout() if known is None else known.table


def laid_out(
    rows: Sequence[Row], metrics: Sequence[str], layout: TableLayout, caption: str, notes: list[str]
) -> Table:
    """Rows in blocks, the best of each block marked; published rows are ranked only where there are no others."""
    names = [metric for metric in metrics if metric not in _spreads(metrics, layout)]
    first = {name: next(row.metrics[name] for row in rows if name in row.metrics) for name in metrics}
    columns = [Column(tag, tag.capitalize(), numeric=False) for tag in layout.blocks]
    columns.append(Column("model", "Model", numeric=False))
    columns += [
        Column(
            name,
            f"{name} {first[name].arrow}".strip(),
            about=first[name].title,
            second=_spread_of(name, metrics, layout),
        )
        for name in names
    ]
    only_published = all(row.published for row in rows)
    table = Table(columns, caption=caption, notes=notes)
    breaks = []
    for block in dict.fromkeys(row.block(layout) for row in rows):
        inside = [row for row in rows if row.block(layout) == block]
        breaks.append(len(table.rows))
        marks = {
            name: _marks(
                [row if row.published == only_published else None for row in inside], name, first[name]
            )
            for name in names
        }
        for place, row in enumerate(inside):
            cells = [Cell(text if place == 0 else "") for text in block]
            cells.append(Cell(row.name, link=row.link))
            for name in names:
                spread = row.metrics.get(_spread_of(name, metrics, layout))
                cells.append(_cell(row.metrics.get(name), marks[name][place], spread, row.past(name)))
            table.rows.append(cells)
    table.breaks = breaks[1:]
    return table


def _spread_of(metric: str, metrics: Sequence[str], layout: TableLayout) -> str:
    """The metric that is printed behind another one as ± std; "" when there is none."""
    name, at, reference = metric.partition("@")
    spread = f"{layout.joined[name]}{at}{reference}" if name in layout.joined else ""
    return spread if spread in metrics else ""


def _spreads(metrics: Sequence[str], layout: TableLayout) -> set[str]:
    return {_spread_of(metric, metrics, layout) for metric in metrics}


def _marks(rows: Sequence[Row | None], metric: str, result: MetricResult) -> list[Mark]:
    """Best and second of the rows that are ranked; None stands for one that is not."""
    sign = {"higher": -1.0, "lower": 1.0, "neither": 0.0}[result.better]
    values = [None if row is None or metric not in row.metrics else row.metrics[metric].value for row in rows]
    ranked = sorted({sign * value for value in values if value is not None})
    if sign == 0 or sum(row is not None for row in rows) < 2 or not ranked:
        return [""] * len(values)
    names: dict[float, Mark] = dict(zip(ranked, ("best", "second"), strict=False))
    return ["" if value is None else names.get(sign * value, "") for value in values]


def sources(rows: Sequence[PublishedRow]) -> list[str]:
    """Notes that say where published rows come from."""
    return [
        f"({MARK}): numbers printed by {source}, measured by them, with their tools; never ranked with runs."
        for source in dict.fromkeys(row.source for row in rows)
    ]


def _cell(
    result: MetricResult | None,
    mark: Mark,
    spread: MetricResult | None,
    history: tuple[tuple[str, float], ...],
) -> Cell:
    if result is None:
        return Cell("–", title="not asked for in this run", history=history)
    if result.value is None:
        return Cell("–", title=result.reason, history=history)
    dagger = "†" if result.note else ""
    second = None if spread is None else spread.value
    behind = "" if second is None else f" ± {second:.{result.decimals}f}"
    return Cell(
        f"{result.value:.{result.decimals}f}{behind}{dagger}",
        number=result.value,
        small=interval_text(result),
        mark=mark,
        title=result.note,
        second=second,
        history=history,
    )


def interval_text(result: MetricResult) -> str:
    """The interval as `[low, high]`, empty when there is none."""
    if result.low is None or result.high is None:
        return ""
    return f"[{result.low:.{result.decimals}f}, {result.high:.{result.decimals}f}]"
