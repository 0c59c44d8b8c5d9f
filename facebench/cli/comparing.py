"""Commands that compare run records: rank, draw, judge."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

PANEL = "Compare"
app = typer.Typer()


@app.command(rich_help_panel=PANEL)
def leaderboard(
    runs: Annotated[list[Path], typer.Argument(help="Run folders or record files.")],
    csv: Annotated[Path | None, typer.Option(help="Write CSV.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a self-contained page.")] = None,
    latex: Annotated[Path | None, typer.Option(help="Write LaTeX (booktabs).")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write Markdown.")] = None,
    with_published: Annotated[
        bool, typer.Option("--with-published", help="Also show what papers report, marked and not ranked.")
    ] = False,
) -> None:
    """Rank models by their run records."""
    from facebench.commands.ranking import leaderboard_command

    leaderboard_command(runs, csv=csv, html=html, latex=latex, markdown=markdown, published=with_published)


@app.command(rich_help_panel=PANEL)
def report(
    runs: Annotated[list[Path], typer.Argument(help="Run folders; the others are compared with the first.")],
    html: Annotated[Path, typer.Option(help="Folder to write index.html into, or a file ending in .html.")],
    lang: Annotated[str, typer.Option(help="Language of the page: en or ja.")] = "en",
) -> None:
    """Write one self-contained page: results, differences, plots and galleries."""
    from facebench.commands.reporting import report_command

    report_command(runs, html=html, lang=lang)


@app.command(rich_help_panel=PANEL)
def check(
    run: Annotated[Path, typer.Argument(help="Run folder or record file.")],
    baseline: Annotated[Path, typer.Option(help="Record to compare with: a file or a run folder.")],
    rules: Annotated[Path | None, typer.Option(help="YAML: how much worse each metric may be.")] = None,
    junit: Annotated[Path | None, typer.Option(help="Write JUnit XML.")] = None,
    github: Annotated[
        bool, typer.Option("--github", help="Print workflow annotations and add a step summary.")
    ] = False,
    update: Annotated[
        bool, typer.Option("--update", help="Compare nothing: make this run the baseline.")
    ] = False,
) -> None:
    """Fail with exit code 1 when a run is worse than the baseline."""
    from facebench.commands import checking

    if update:
        checking.update_command(run, baseline)
    else:
        checking.check_command(run, baseline, rules=rules, junit=junit, github=github)


@app.command(rich_help_panel=PANEL)
def factorial(
    runs: Annotated[list[Path], typer.Argument(help="Runs that carry the factors as tags.")],
    metrics: Annotated[str | None, typer.Option(help="Only these metrics, separated by commas.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Write the effects as CSV.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a self-contained page.")] = None,
    plots: Annotated[Path | None, typer.Option(help="Folder for main-effects plots (SVG).")] = None,
    breakdown: Annotated[
        list[Path] | None,
        typer.Option(
            help="Folder with runs of the same names, evaluated with another --by; may be repeated."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of every resampling.")] = 0,
) -> None:
    """Main effects and two-way interactions of training choices over a grid of runs, and where models fail."""
    from facebench.commands.studying import factorial_command

    chosen = metrics.split(",") if metrics else None
    factorial_command(
        runs, metrics=chosen, csv=csv, html=html, plots=plots, breakdowns=breakdown or [], seed=seed
    )


@app.command(rich_help_panel=PANEL)
def published(
    name: Annotated[str | None, typer.Argument(help="Name of one table.")] = None,
) -> None:
    """List the tables of papers that are at hand, or print one."""
    from facebench.commands.ranking import published_command

    published_command(name)
