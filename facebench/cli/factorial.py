"""`facebench factorial`: effects of training choices over a grid of runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facebench.cli.choices import FormatOption, TableFormat, split_list
from facebench.core.errors import InputError
from facebench.core.language import language

if TYPE_CHECKING:
    from facebench.studies.factorial.record_cells import RecordOptions

SHOWN_CELLS = 32
"""Largest number of runs whose cells are printed."""


def factorial(
    runs: Annotated[
        list[Path],
        typer.Argument(
            help="Runs whose tags are the factors, or one run whose manifest holds all cells as columns."
        ),
    ],
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
    out: Annotated[
        Path | None,
        typer.Option(help="One run: folder of the page, figures (PNG, SVG) and tables (CSV, LaTeX)."),
    ] = None,
    factors: Annotated[
        str | None,
        typer.Option(help="One run: columns that are factors, separated by commas; found by default."),
    ] = None,
    common: Annotated[
        bool,
        typer.Option(
            "--common",
            help="One run: compare only pairs of source and target, and trainings, that all cells have.",
        ),
    ] = False,
    lang: Annotated[
        str | None, typer.Option(help="Language of the texts: en or ja. For one run, --out writes both.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of all resampling.")] = 0,
    style: FormatOption = TableFormat.auto,
) -> None:
    """Estimate effects of training choices over a grid of runs, or over the cells of one run.

    Prints main effects, two-way interactions, and the groups in which models fail.
    """
    if len(runs) == 1:
        from facebench.studies.factorial.record_cells import RecordOptions

        _refuse_options(breakdown=breakdown)
        options = RecordOptions(split_list(metrics), split_list(factors), common, seed)
        _study_one_record(
            runs[0],
            options,
            lang or language(),
            {"out": out, "csv": csv, "html": html, "plots": plots},
            style,
        )
        return
    _refuse_options(out=out, factors=factors, common=common or None)
    from facebench.cli.terminal_tables import print_written, show_tables
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
    cells = [cells_table(study)] if len(study.runs) <= SHOWN_CELLS else []
    found = [f"• {sentence}" for sentence in sentences(study)]
    show_tables([*cells, effects_table(study)], style, data=effects_table(study), sentences=found)
    if not style.is_data:
        show_tables(failures[:1], style)
    written = [] if plots is None else write_plots(study, plots)
    for path, text in ((csv, effects_table(study).csv), (html, lambda: study_page(study, failures))):
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text(), encoding="utf-8")
            written.append(path)
    print_written(written, style)


def _refuse_options(**given: object) -> None:
    """Check that options of the other form of the command are not given.

    Raises:
        InputError: one is given.
    """
    for name, value in given.items():
        if value:
            form = "several runs" if name == "breakdown" else "one run that holds all cells"
            raise InputError(f"--{name} belongs to a study of {form}.")


def _study_one_record(
    path: Path, options: RecordOptions, lang: str, files: Mapping[str, Path | None], style: TableFormat
) -> None:
    """Study the cells of one record, print the results, and write the requested files."""
    from facebench.cli.terminal_tables import print_written, show_tables
    from facebench.studies.factorial import record_tables
    from facebench.studies.factorial.record_cells import study_record
    from facebench.studies.factorial.record_report import curve_metrics, study_page, write_study
    from facebench.studies.factorial.report import write_plots

    record_tables.texts(lang)
    record = study_record(path, options)
    tables = [record_tables.cells_rows(record, lang)] if len(record.study.runs) <= SHOWN_CELLS else []
    tables.append(record_tables.effects_rows(record, lang))
    tables += [
        record_tables.worst_tables(record, metric, lang)["person"] for metric in curve_metrics(record)[:2]
    ]
    sentences = [f"• {sentence}" for sentence in record_tables.record_sentences(record, lang)]
    show_tables(tables, style, data=record_tables.effects_rows(record), sentences=sentences)
    written: list[Path] = []
    if (folder := files["out"]) is not None:
        written += [file for file in write_study(record, folder) if file.suffix == ".html"]
        print_written([f"{folder}: pages, figures (PNG, SVG) and tables (CSV, LaTeX)"], style)
    if (folder := files["plots"]) is not None:
        written += write_plots(record.study, folder)
    texts: dict[str, Callable[[], str]] = {
        "csv": lambda: record_tables.effects_rows(record).csv(),
        "html": lambda: study_page(record, lang),
    }
    for name, text in texts.items():
        if (file := files[name]) is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text(), encoding="utf-8")
            written.append(file)
    print_written(written, style)
