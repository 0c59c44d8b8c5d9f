"""`facebench check`: compare a run with a baseline and report the result to a build server."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facebench.cli.choices import FormatOption, TableFormat
from facebench.cli.messages import print_line
from facebench.core.errors import InputError

if TYPE_CHECKING:
    from facebench.compare import gate


def check(
    run: Annotated[Path, typer.Argument(help="Run folder or record file.")],
    baseline: Annotated[Path, typer.Option(help="Run folder or record file to compare with.")],
    rules: Annotated[
        Path | None, typer.Option(help="YAML file with the largest allowed regression of each metric.")
    ] = None,
    junit: Annotated[Path | None, typer.Option(help="Write JUnit XML.")] = None,
    github: Annotated[
        bool, typer.Option("--github", help="Print GitHub annotations and add a step summary.")
    ] = False,
    update: Annotated[
        bool,
        typer.Option(
            "--update",
            help="Replace the baseline by this run: the record for FILE.json, else a folder with its tables.",
        ),
    ] = False,
    style: FormatOption = TableFormat.auto,
) -> None:
    """Compare a run with a baseline; exit with code 1 when it is worse."""
    from facebench.cli.terminal_tables import show_tables
    from facebench.compare import gate
    from facebench.compare.verdict import verdict
    from facebench.evaluation.record_reading import load_run
    from facebench.report import ci

    if update:
        new = load_run(run)
        # A folder keeps the tables that pair a later run with the baseline.
        written = new.save_record(baseline) if baseline.suffix == ".json" else new.save(baseline)
        print_line(f"baseline written: {written}")
        return
    new, old = load_run(run), load_run(baseline)
    report = gate.check(new, old, rules)
    if not style.is_data:
        print_line(report.summary, style="green" if report.passed else "bold red")
    table = report.table().without_empty_columns()
    show_tables(table, style, before=[f"{report.run}: {verdict(new, old)}"])
    if junit is not None:
        _write(junit, ci.junit(report))
    if github:
        _report_to_github(report)
    if not report.passed:
        raise typer.Exit(1)


def _report_to_github(report: gate.CheckReport) -> None:
    from facebench.report import ci

    sys.stdout.write(ci.workflow_commands(report))
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        _write(Path(summary), ci.step_summary(report), mode="a")


def _write(file: Path, text: str, mode: str = "w") -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open(mode, encoding="utf-8") as out:
            out.write(text)
    except OSError as error:
        raise InputError(f"{file} cannot be written: {error.strerror}.") from error
