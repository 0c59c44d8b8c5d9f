"""`facebench factorial`: effects of training choices over a grid of runs."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.text import Text

from facebench.cli.show import print_table
from facebench.studies.factorial.effects import factorial
from facebench.studies.factorial.failures import failure_tables, read_breakdowns
from facebench.studies.factorial.report import cells_table, effects_table, sentences, study_page, write_plots

SHOWN_CELLS = 32


def factorial_command(
    runs: list[Path],
    *,
    metrics: list[str] | None,
    csv: Path | None,
    html: Path | None,
    plots: Path | None,
    breakdowns: list[Path],
    seed: int,
) -> None:
    """Print cells, effects, what they say and where models fail, and write the files asked for."""
    study = factorial(runs, metrics, seed=seed)
    failures = failure_tables(study, read_breakdowns(study, breakdowns))
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
        console.print(f"wrote {path}", style="dim", markup=False)
