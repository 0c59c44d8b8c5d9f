"""`facebench report`: one page about one or more runs."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from facebench.core.errors import InputError
from facebench.evaluation.record import load_run
from facebench.report.pages.run import report_page

INDEX = "index.html"


def report_command(runs: list[Path], *, html: Path, lang: str) -> None:
    """Write the page into a folder, or to a file that ends in .html."""
    page = report_page([load_run(run) for run in runs], lang)
    file = html if html.suffix.lower() in (".html", ".htm") else html / INDEX
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(page, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{file} cannot be written: {error.strerror}. Choose another --html.") from error
    Console().print(f"wrote {file}", markup=False, soft_wrap=True)
