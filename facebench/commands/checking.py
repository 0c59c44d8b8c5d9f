"""`facebench check`: compare with a baseline, print what failed, tell the build server."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import typer
from rich.console import Console
from rich.text import Text

from facebench.cli.show import print_table
from facebench.compare.gate import CheckReport, check
from facebench.core.errors import InputError
from facebench.evaluation.record import load_run
from facebench.report import ci


def check_command(run: Path, baseline: Path, *, rules: Path | None, junit: Path | None, github: bool) -> None:
    """Print the comparison; exits with 1 when a rule failed."""
    report = check(run, baseline, rules)
    console = Console()
    print_table(console, report.table())
    console.print(Text(report.summary, style="green" if report.passed else "bold red"))
    if junit is not None:
        _write(junit, ci.junit(report))
    if github:
        _tell_github(report)
    if not report.passed:
        raise typer.Exit(1)


def update_command(run: Path, baseline: Path) -> None:
    """Make the run the baseline."""
    written = load_run(run).save_record(baseline)
    Console().print(f"baseline written: {written}", markup=False, soft_wrap=True)


def _tell_github(report: CheckReport) -> None:
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
