"""`facebench factorial`: effects of training choices over a grid of runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from facebench.cli.choices import split_list
from facebench.cli.messages import print_line

SHOWN_CELLS = 32
"""Largest number of runs whose cells are printed."""


def factorial(
    runs: Annotated[list[Path], typer.Argument(help="Runs whose tags are the factors.")],
    metrics: Annotated[
        str | None, typer.Option(help="Analyse only these metrics, separated by commas.")
    ] = None,
    csv: Annotated[Path | None, typer.Option(help="Write the effects as CSV.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a self-contained page.")] = None,
    plots: Annotated[Path | None, typer.Option(help="Folder of main-effects plots (SVG).")] = None,
    breakdown: Annotated[
        list[Path] | None,
        typer.Option(
            help="Folder with runs of the same names, evaluated with another --by; may be repeated."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of all resampling.")] = 0,
) -> None:
    """Estimate effects of training choices over a grid of runs.

    Prints main effects, two-way interactions, and the groups in which models fail.
    """
    from facebench.cli.terminal_tables import print_table
    from facebench.studies.factorial import effects
    from facebench.studies.factorial.failures import failure_tables, read_breakdowns
    from facebench.studies.factorial.report import (
        cells_table,
        effects_table,
        sentences,
        study_page,
        write_plots,
    )

    study = effects.factorial(runs, split_list(metrics), seed=seed)
    failures = failure_tables(study, read_breakdowns(study, breakdown or []))
    console = Console()
    if len(study.runs) <= SHOWN_CELLS:
        print_table(console, cells_table(study))
    print_table(console, effects_table(study))
    for sentence in sentences(study):
        console.print(Text(f"• {sentence}"))
    for table in failures[:1]:
        print_table(console, table)
    written = [] if plots is None else write_plots(study, plots)
    for path, text in ((csv, effects_table(study).csv), (html, lambda: study_page(study, failures))):
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text(), encoding="utf-8")
            written.append(path)
    for path in written:
        print_line(f"wrote {path}", style="dim")
