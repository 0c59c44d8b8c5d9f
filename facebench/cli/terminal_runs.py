"""Runs and their groups on the terminal."""

from __future__ import annotations

import sys
from dataclasses import replace

from rich.text import Text

from facebench.cli.choices import TableFormat
from facebench.cli.messages import Console
from facebench.cli.terminal_tables import print_table
from facebench.compare.breakdown_tables import extremes_table, group_table
from facebench.core.tables import Cell, Column, Table
from facebench.evaluation.record import Run
from facebench.evaluation.run_table import headline_metrics, run_csv, run_table

SHOWN_GROUPS = 12
"""Largest number of groups that are all printed."""


def show_run(run: Run, style: TableFormat) -> None:
    """Print the metrics of a run for a person, or write its record (JSON) or all values (CSV) for a program."""
    if style.is_data:
        sys.stdout.write(run_csv(run) if style == TableFormat.csv else run.to_json())
    else:
        print_run(Console(), run, style=style)


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
    """Print the worst and best groups of each metric, and all groups if they are few; arguments as for `print_run`."""
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
