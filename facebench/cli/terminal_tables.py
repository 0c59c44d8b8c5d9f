"""Tables on the terminal: a run, its groups, and the tables of reports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from rich.cells import cell_len
from rich.table import Table as RichTable
from rich.text import Text

from facebench.cli.choices import TableFormat
from facebench.cli.messages import Console
from facebench.cli.plain_tables import plain_lines
from facebench.compare.breakdown_tables import extremes_table, group_table
from facebench.core.escape import escape_terminal
from facebench.core.tables import Cell, Column, Table
from facebench.evaluation.record import Run
from facebench.evaluation.run_table import headline_metrics, run_table

SHOWN_GROUPS = 12
"""Largest number of groups that are all printed."""
_SENTENCE = 24
"""Width to which a column of sentences may be narrowed."""
_STYLES = {"best": "bold", "second": "underline", "": ""}


def print_table(console: Console, table: Table, style: TableFormat = TableFormat.auto) -> None:
    """Print a table: best value bold, second best underlined, notes below.

    Args:
        console: the terminal.
        table: the table.
        style: `table`, `plain` (lines without borders), or `auto`: a table where it fits, else with rows and columns
            swapped where that fits, lines otherwise.
    """
    table = table.translated()
    shown = _rich_table(table)
    fits = _fit(shown, console.width)
    if style == TableFormat.auto and not fits and len(table.rows) > 1:
        swapped = _rich_table(table.transposed())
        if _fit(swapped, console.width):
            shown, fits = swapped, True
    if style == TableFormat.table or (style == TableFormat.auto and fits):
        console.print(shown)
    else:
        if table.caption:
            console.print(_text(table.caption))
        for line in plain_lines(table, console.width):
            console.print(Text(line), soft_wrap=True)
    for note in table.notes:
        console.print(_text(note, style="dim"))


def print_tables(console: Console, tables: Sequence[Table], style: TableFormat = TableFormat.auto) -> None:
    """Print tables; notes that several of them have are printed once, below the last table.

    Args:
        console: the terminal.
        tables: the tables.
        style: format, as for `print_table`.
    """
    counts = Counter(note for table in tables for note in dict.fromkeys(table.notes))
    for table in tables:
        print_table(console, replace(table, notes=[note for note in table.notes if counts[note] == 1]), style)
    for note, count in counts.items():
        if count > 1:
            console.print(_text(note, style="dim"))


def print_run(
    console: Console, run: Run, *, show_all: bool = True, style: TableFormat = TableFormat.auto
) -> None:
    """Print the metrics of a run, then rejected files and warnings.

    Args:
        console: the terminal.
        run: the run.
        show_all: whether all metrics are printed, or only the headline of the protocol.
        style: format, as for `print_table`.
    """
    table = run_table(run, show_all=show_all)
    print_table(console, _with_interval_column(table), style)


def print_groups(
    console: Console, run: Run, *, show_all: bool = True, style: TableFormat = TableFormat.auto
) -> None:
    """Print the worst and best groups of each metric, and all groups if they are few.

    Args:
        console: the terminal.
        run: the run.
        show_all: whether all metrics are printed, or only the headline of the protocol.
        style: format, as for `print_table`.
    """
    valued = [metric for metric, result in run.metrics.items() if result.value is not None]
    metrics = valued if show_all else headline_metrics(run, valued)
    if len(run.groups) <= SHOWN_GROUPS:
        groups = group_table(run, metrics)
        print_table(console, replace(groups.without_empty_columns().transposed(), notes=[]), style)
    else:
        console.print(Text(f"All {len(run.groups)} groups are in the record and in the report.", style="dim"))
    print_table(console, extremes_table(run, metrics), style)


def _with_interval_column(table: Table) -> Table:
    """Move the intervals of the values into their own column."""
    name, value, *further = table.columns
    columns = [name, value, Column("interval", "95 % interval"), *further]
    rows = [[label, replace(cell, small=""), Cell(cell.small), *rest] for label, cell, *rest in table.rows]
    return replace(table, columns=columns, rows=rows)


def _rich_table(table: Table) -> RichTable:
    shown = RichTable(
        title=_text(table.caption) if table.caption else None,
        title_justify="left",
        header_style="bold",
        show_lines=False,
    )
    for column in table.columns:
        shown.add_column(_text(column.title), justify="right" if column.numeric else "left", overflow="fold")
    for row in table.rows:
        shown.add_row(*(_cell(cell) for cell in row))
    return shown


def _fit(shown: RichTable, width: int) -> bool:
    """Return whether the table fits when only its columns of sentences are wrapped; then wrap only these."""
    kept, total = [], 1
    for column in shown.columns:
        texts = [text for text in (column.header, *column.cells) if isinstance(text, Text)]
        lines = [line for text in texts for line in text.plain.split("\n")]
        widest = max(map(cell_len, lines), default=0)
        narrowest = max([_SENTENCE, *(cell_len(word) for line in lines for word in line.split())])
        if column.justify == "right" or widest <= narrowest:
            kept.append(column)
        total += 3 + min(widest, widest if column.justify == "right" else narrowest)
    for column in kept:
        column.no_wrap = total <= width
    return total <= width


def _text(text: str, style: str = "") -> Text:
    return Text(escape_terminal(text), style=style)


def _cell(cell: Cell) -> Text:
    text = _text(cell.text, style=_STYLES[cell.mark])
    return (
        text.append(f"\n{escape_terminal(cell.small)}", style="dim not bold not underline")
        if cell.small
        else text
    )
