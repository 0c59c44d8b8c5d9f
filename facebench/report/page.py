"""Self-contained HTML pages: no network, escaped text, light and dark, readable on paper and on a phone."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

if TYPE_CHECKING:
    from facebench.leaderboard import Leaderboard
    from facebench.results import Run


REPORT = Path("report") / "index.html"
"""Where a run's report lies in its run folder, to be linked to: `facebench report RUN --html RUN/report`."""


def leaderboard_page(leaderboard: Leaderboard, folder: Path | None = None) -> str:
    """One page with a sortable table per board, filtered by protocol, suite and reference set.

    Args:
        leaderboard: what to show.
        folder: where the page will lie; reports in the run folders are linked to from there.
    """
    boards = [
        {
            "table": Markup(board.table().html()),
            "tags": _tags(board.runs[0]),
            "runs": board.runs,
            "links": [] if folder is None else _links(board.runs, folder),
        }
        for board in leaderboard.boards
    ]
    boards += [
        {
            "table": Markup(table.html()),
            "tags": {"protocol": protocol, "suite": "published", "reference": "none"},
            "runs": [],
            "links": [],
        }
        for protocol, table in leaderboard.published_tables().items()
    ]
    tags = [_tags(board.runs[0]) for board in leaderboard.boards]
    filters = {what: sorted({tag[what] for tag in tags}) for what in (tags[0] if tags else ())}
    return environment().get_template("leaderboard.html").render(boards=boards, filters=filters)


def _tags(run: Run) -> dict[str, str]:
    named = [(role, record) for role, record in run.inputs.items() if role.partition(":")[0] == "reference"]
    datasets = [role.partition(":")[2] or Path(record.path).name for role, record in named]
    return {"protocol": run.protocol, "suite": run.suite, "reference": " + ".join(datasets) or "none"}


def _links(runs: Sequence[Run], folder: Path) -> list[tuple[str, str]]:
    """Name and relative address of every report that lies in its run folder."""
    found = [(run.name, run.folder / REPORT) for run in runs if run.folder is not None]
    return [
        (name, quote(Path(os.path.relpath(report, folder)).as_posix()))
        for name, report in found
        if report.is_file()
    ]


def environment() -> Environment:
    """Templates of this package, with every text escaped."""
    return Environment(
        loader=PackageLoader("facebench.report"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
