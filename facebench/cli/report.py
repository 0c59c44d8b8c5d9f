"""`facebench report`: one page about one or more runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from facebench.cli.messages import print_line
from facebench.core.errors import InputError
from facebench.core.language import language


def report(
    runs: Annotated[
        list[Path], typer.Argument(help="Run folders or names of runs; the first run is the baseline.")
    ],
    html: Annotated[Path, typer.Option(help="Folder of index.html, or a file that ends in .html.")],
    lang: Annotated[str | None, typer.Option(help="Language of the page: en or ja.")] = None,
) -> None:
    """Write a page with results, differences, plots and galleries."""
    from facebench.evaluation.record_reading import load_run
    from facebench.report.pages.run import report_page

    file = html if html.suffix.lower() in (".html", ".htm") else html / "index.html"
    page = report_page([load_run(run) for run in runs], lang or language(), file.parent)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(page, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{file} cannot be written: {error.strerror}. Choose another --html.") from error
    print_line(f"wrote {file}")
