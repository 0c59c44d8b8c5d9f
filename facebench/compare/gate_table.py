"""Table of the gate."""

from __future__ import annotations

from collections.abc import Sequence

from facebench.compare.gate_item import POWER, CheckItem, number
from facebench.core.tables import Cell, Column, Table
from facebench.evaluation.record import MetricResult

_SYMBOLS = {"passed": "✓", "failed": "✗", "not judged": "–"}


def gate_table(items: Sequence[CheckItem], caption: str, level: float, tested: int) -> Table:
    """Build the table: failed items first, reasons in the notes.

    Args:
        items: outcomes.
        caption: title of the table.
        level: level of the whole record.
        tested: number of p values that are corrected together.
    """
    columns = [
        Column("metric", "Metric", numeric=False),
        Column("baseline", "Baseline"),
        Column("run", "Run"),
        Column("change", "Change", about="95 % interval of the difference, not corrected"),
        Column("p", "p", about="one-sided, corrected over the record (Holm)"),
        Column(
            "smallest_visible_change", "Visible from", about="smallest worsening detected in 80 % of cases"
        ),
        Column("rule", "Rule", numeric=False),
        Column("verdict", "Result", numeric=False),
    ]
    rows = [_cells(item) for item in sorted(items, key=lambda item: item.verdict != "failed")]
    notes = [f"✗ {item.metric}: {item.reason}" for item in items if item.verdict == "failed"]
    notes += [f"– {item.metric}: {item.reason}" for item in items if item.verdict == "not judged"]
    if tested:
        notes.append(
            f"Level {level:g} for the whole record: {tested} one-sided p values, corrected by Holm's method. "
            f"Visible from: the smallest worsening that is detected with a probability of {POWER:g}."
        )
    return Table(columns, rows, caption=caption, notes=notes)


def _cells(item: CheckItem) -> list[Cell]:
    available = item.result or item.expected
    return [
        Cell(f"{item.metric} {available.arrow if available else ''}".strip(), key=item.metric),
        _value(item.expected),
        _value(item.result),
        _change(item, available),
        _p(item.p),
        _visible(item, available),
        Cell(item.rule),
        Cell(
            f"{_SYMBOLS[item.verdict]} {item.verdict}",
            title=item.reason,
            mark="best" if item.verdict == "failed" else "",
        ),
    ]


def _change(item: CheckItem, result: MetricResult | None) -> Cell:
    change = item.change
    if change is None or result is None:
        return Cell("–")
    interval = f"[{number(change.low, result)}, {number(change.high, result)}]" if change.has_interval else ""
    return Cell(f"{change.value:+.{result.decimals}f}", change.value, small=interval, title=change.method)


def _p(p: float | None) -> Cell:
    return Cell("–") if p is None else Cell("< 0.001" if p < 0.001 else f"{p:.3f}", p)


def _visible(item: CheckItem, result: MetricResult | None) -> Cell:
    smallest = item.smallest_visible_change
    return Cell("–") if smallest is None or result is None else Cell(number(smallest, result), smallest)


def _value(result: MetricResult | None) -> Cell:
    if result is None or result.value is None:
        return Cell("–", title="" if result is None else result.reason)
    return Cell(number(result.value, result), result.value)
