"""`facebench runs`: list run records, compare two of them, and print the folder of the newest one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facebench.cli.choices import FormatOption, TableFormat
from facebench.cli.messages import print_line
from facebench.core.errors import InputError
from facebench.core.language import message
from facebench.core.suggest import suggest
from facebench.evaluation.run_folders import RUNS, named_runs, run_folders, run_summary

if TYPE_CHECKING:
    from facebench.core.tables import Table


def runs(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Names of models, run folders, or folders of runs; all by default."),
    ] = None,
    folder: Annotated[Path, typer.Option(help="Folder that holds the runs.")] = RUNS,
    compare: Annotated[
        bool, typer.Option("--compare", help="Compare the second run with the first one.")
    ] = False,
    newest: Annotated[
        bool, typer.Option("--newest", help="Print only the folder of the newest run, for scripts.")
    ] = False,
    style: FormatOption = TableFormat.auto,
) -> None:
    """List the runs; compare two of them, or print the newest one."""
    if compare:
        _compare(names or [], style)
        return
    found = _find(names or [], folder)
    if newest:
        print_line(str(found[0]))
        return
    from facebench.cli.terminal_tables import show_tables

    show_tables(_list(found), style, before=[f"{_counted(found)} The newest: {found[0]}"])


def _find(names: list[str], folder: Path) -> list[Path]:
    """Return the run folders of some names, or all of them; newest first.

    Raises:
        InputError: there are none.
    """
    found = []
    for name in names:
        matching = named_runs(Path(name), folder) or [
            run for run in run_folders([Path(name)]) if run_summary(run)["name"]
        ]
        if not matching:
            known = sorted({run_summary(run)["name"] for run in run_folders([folder])})
            raise InputError(
                f"The folder {folder} does not contain a run named '{name}'. {suggest(name, known)}"
            )
        found += matching
    if not names:
        found = [run for run in run_folders([folder]) if run_summary(run)["name"]]
    if not found:
        raise InputError(f"{folder} does not contain runs. `facebench evaluate DIR` writes the first one.")
    return sorted(dict.fromkeys(found), key=lambda run: run_summary(run)["created"], reverse=True)


def _counted(found: list[Path]) -> str:
    models = len({run_summary(run)["name"] for run in found})
    runs_text = f"{len(found)} {'run' if len(found) == 1 else 'runs'}"
    return f"{runs_text} of {models} {'model' if models == 1 else 'models'}."


def _list(found: list[Path]) -> Table:
    """Build the table of runs: name, protocol, suite, date and folder."""
    from facebench.core.tables import Cell, Column, Table

    keys = {
        "name": message("Model"),
        "protocol": message("Protocol"),
        "suite": message("Suite"),
        "created": "Date (UTC)",
        "folder": message("Folder"),
    }
    rows = []
    for run in found:
        summary = run_summary(run)
        date = summary["created"][:16].replace("T", " ")
        texts = [summary["name"], summary["protocol"], summary["suite"], date, str(run)]
        rows.append([Cell(text) for text in texts])
    return Table([Column(key, title, numeric=False) for key, title in keys.items()], rows)


def _compare(names: list[str], style: TableFormat) -> None:
    """Print the verdict on the second run and its differences from the first one."""
    if len(names) != 2:
        raise InputError("--compare needs two runs: facebench runs --compare BASELINE RUN.")
    from facebench.cli.terminal_tables import show_tables
    from facebench.compare.difference_table import difference_table
    from facebench.compare.verdict import verdict
    from facebench.evaluation.record_reading import load_run

    baseline, run = (load_run(name) for name in names)
    table = difference_table(run, baseline)
    show_tables(table, style, before=[f"{run.name}: {verdict(run, baseline)}"])
