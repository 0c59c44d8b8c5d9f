"""Tables on the terminal: a run, its groups, and the tables of reports."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from facebench.compare.board_table import interval_text
from facebench.compare.breakdown_tables import extremes_table, group_table
from facebench.core.escape import escape_terminal
from facebench.core.tables import Cell, Table
from facebench.evaluation.protocols import load_protocols
from facebench.evaluation.record import MetricResult, Run

SHOWN_REJECTED = 5
"""Number of rejected files listed for each role."""
SHOWN_IDS = 3
"""Number of metrics without a value that are listed for each reason beside the headline."""
SHOWN_GROUPS = 12
"""Largest number of groups that are all printed."""
_STYLES = {"best": "bold", "second": "underline", "": ""}


def print_table(console: Console, table: Table) -> None:
    """Print a table: best value bold, second best underlined, notes below."""
    shown = RichTable(
        title=_text(table.caption) if table.caption else None,
        title_justify="left",
        header_style="bold",
        show_lines=False,
    )
    for column in table.columns:
        # Long ids are wrapped, not truncated.
        shown.add_column(_text(column.title), justify="right" if column.numeric else "left", overflow="fold")
    for row in table.rows:
        shown.add_row(*(_cell(cell) for cell in row))
    console.print(shown)
    for note in table.notes:
        console.print(_text(note, style="dim"))


def print_run(console: Console, run: Run, *, show_all: bool = True) -> None:
    """Print the metrics of a run, then rejected files and warnings.

    Args:
        console: the terminal.
        run: the run.
        show_all: whether all metrics are printed, or only the headline of the protocol.
    """
    valued = [metric for metric, result in run.metrics.items() if result.value is not None]
    shown = valued if show_all else headline_metrics(run, valued)
    table = RichTable(
        title=_text(f"{run.name} · {run.protocol} · {run.suite}"), title_justify="left", header_style="bold"
    )
    for heading, justify in (
        ("metric", "left"),
        ("", "left"),
        ("value", "right"),
        ("95 % interval", "right"),
        ("n", "right"),
    ):
        table.add_column(heading, justify=justify)  # type: ignore[arg-type]
    for metric in shown:  # metrics without a value are listed below the table with their reason
        result = run.metrics[metric]
        table.add_row(_text(metric), result.arrow, _value(result), interval_text(result), _count(result))
    console.print(table)
    if len(shown) < len(valued):
        more = len(valued) - len(shown)
        console.print(Text(f"{more} further metrics are in the record and the report; --all shows them."))
    for line in _notes(run, None if show_all else shown):
        console.print(_text(line, style="dim"))


def headline_metrics(run: Run, metrics: Sequence[str]) -> list[str]:
    """Return the headline of the run's protocol among metrics; all of them if they were selected by id."""
    protocol = load_protocols().get(run.protocol)
    return list(metrics) if protocol is None or run.suite == "custom" else protocol.headline_of(metrics)


def print_groups(console: Console, run: Run) -> None:
    """Print the worst and best groups of each metric, and all groups if they are few."""
    if len(run.groups) <= SHOWN_GROUPS:
        print_table(console, group_table(run))
    else:
        console.print(Text(f"All {len(run.groups)} groups are in the record and in the report.", style="dim"))
    print_table(console, extremes_table(run))


def _text(text: str, style: str = "") -> Text:
    return Text(escape_terminal(text), style=style)


def _cell(cell: Cell) -> Text:
    text = _text(cell.text, style=_STYLES[cell.mark])
    return (
        text.append(f"\n{escape_terminal(cell.small)}", style="dim not bold not underline")
        if cell.small
        else text
    )


def _value(result: MetricResult) -> Text:
    if result.value is None:
        return Text("–", style="dim")
    return Text(f"{result.value:.{result.decimals}f}{'†' if result.note else ''}")


def _count(result: MetricResult) -> str:
    return " / ".join(f"{count:,}" for count in result.n.values())


def _notes(run: Run, shown: Sequence[str] | None) -> list[str]:
    """Return the notes of all metrics, or of the shown ones; long lists of ids are then shortened."""
    words = run.generalisation()
    notes = [
        f"95 % intervals for {target}" + ("" if len(words) == 1 else f": {_listed(ids, shown)}")
        for target, ids in words.items()
        if shown is None or set(shown) & set(ids)
    ]
    for reason, ids in _by_reason(run, with_value=True).items():
        named = _listed(ids, shown)
        notes += [f"† {reason}: {named}"] if named else []
    for reason, ids in _by_reason(run, with_value=False).items():
        limit = len(ids) if shown is None else SHOWN_IDS
        further = f" and {len(ids) - limit} more" if len(ids) > limit else ""
        notes.append(f"– no value, {reason}: {', '.join(ids[:limit])}{further}")
    for role, record in run.inputs.items():
        for rejected in record.rejected[:SHOWN_REJECTED]:
            state = "not used by the face networks" if rejected.scope == "faces" else "not used"
            notes.append(f"{role}: {rejected.name} {state}: {rejected.reason} {rejected.detail}".rstrip())
        if len(record.rejected) > SHOWN_REJECTED:
            more = len(record.rejected) - SHOWN_REJECTED
            notes.append(f"{role}: {more} further files not used; the record lists all")
    return notes + [f"note: {warning}" for warning in run.warnings]


def _listed(ids: Sequence[str], shown: Sequence[str] | None) -> str:
    return ", ".join(metric for metric in ids if shown is None or metric in shown)


def _by_reason(run: Run, *, with_value: bool) -> dict[str, list[str]]:
    """Group metric ids by their common reason."""
    ids: dict[str, list[str]] = {}
    for metric, result in run.metrics.items():
        reason = result.note if with_value else result.reason
        if (result.value is not None) == with_value and reason:
            ids.setdefault(reason, []).append(metric)
    return ids
