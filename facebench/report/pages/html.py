"""Self-contained HTML pages: no network, escaped text, light and dark, readable on paper and on a phone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

if TYPE_CHECKING:
    from facebench.compare.leaderboard import Board, Leaderboard, Model
    from facebench.evaluation.record import Run


REPORT = Path("report") / "index.html"
"""Where a run's report lies in its run folder, to be linked to: `facebench report RUN --html RUN/report`."""

_NO_DATA = "none"


def leaderboard_page(leaderboard: Leaderboard, folder: Path | None = None) -> str:
    """One page with a sortable table per board, filtered by protocol, suite and dataset.

    Args:
        leaderboard: what to show.
        folder: where the page will lie; reports in the run folders are linked to from there.
    """
    boards = [_board(board, folder) for board in leaderboard.boards]
    boards += [
        {
            "table": Markup(table.html()),
            "tags": {"protocol": protocol, "suite": "published", "dataset": _NO_DATA},
            "records": [],
            "earlier": [],
        }
        for protocol, table in leaderboard.published_tables().items()
    ]
    tags = [_tags(board) for board in leaderboard.boards]
    filters = {what: sorted({tag[what] for tag in tags}) for what in (tags[0] if tags else ())}
    return environment().get_template("leaderboard.html").render(boards=boards, filters=filters)


def _board(board: Board, folder: Path | None) -> dict[str, Any]:
    """What the template shows of one board: table, records, and reports of runs that are no longer the newest."""

    def address(run: Run) -> str:
        return "" if folder is None else _report_of(run, folder)

    records = [(_label(model, run), run) for model in board.models for run in model.runs[::-1]]
    past = [(_label(model, run), address(run)) for model in board.models for run in model.runs[-2::-1]]
    return {
        "table": Markup(board.table(address).html()),
        "tags": _tags(board),
        "records": records,
        "earlier": [(label, link) for label, link in past if link],
    }


def _label(model: Model, run: Run) -> str:
    return run.name if len(model.runs) == 1 else f"{run.name}, {run.created:%Y-%m-%d %H:%M}"


def _tags(board: Board) -> dict[str, str]:
    run = board.runs[0]
    return {"protocol": run.protocol, "suite": run.suite, "dataset": board.dataset or _NO_DATA}


def _report_of(run: Run, folder: Path) -> str:
    """The relative address of the report that lies in its run folder; "" when there is none."""
    if run.folder is None or not (run.folder / REPORT).is_file():
        return ""
    return quote(Path(os.path.relpath(run.folder / REPORT, folder)).as_posix())


def environment() -> Environment:
    """Templates of this package, with every text escaped."""
    return Environment(
        loader=PackageLoader("facebench.report.pages"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
