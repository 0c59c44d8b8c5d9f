"""HTML page of a leaderboard."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from facebench.compare.board import Board, Model
from facebench.compare.board_table import RankedTable, with_names
from facebench.compare.board_verdict import board_verdict
from facebench.compare.replicates import SEED
from facebench.core.html import environment, translated_page
from facebench.core.language import message
from facebench.core.tables import Cell, Column, Table
from facebench.evaluation.cards import load_cards
from facebench.evaluation.kinds import kind_of
from facebench.evaluation.protocols import load_protocols
from facebench.evaluation.record import Run

REPORT = Path("report") / "index.html"
"""Path of the report in a run folder, to which the page links: `facebench report RUN --html RUN/report`."""

MOST_RECORDS = 20
"""Largest number of run records that the page contains."""
SHORT_ROWS = 20
"""Largest number of rows of a table that has no scroll bar of its own."""
MOST_COLUMNS = 10
"""Largest number of metrics that are all shown at first."""
_NO_DATASET = "none"
_FILTERS = {"protocol": message("Protocol"), "suite": message("Suite"), "dataset": message("Data set")}
"""Names of the filters."""
_KINDS = {
    "fidelity": message("Fidelity"),
    "identity": message("Identity"),
    "quality": message("Face quality"),
    "affect": message("Affect"),
    "shape": message("Shape"),
    "pose": message("Pose"),
    "similarity": message("Similarity"),
    "image": message("Image"),
    "further": message("Other"),
}
"""Names of the groups of metrics."""


def leaderboard_page(
    boards: Sequence[Board], published: Mapping[str, Table], folder: Path | None = None
) -> str:
    """Render one page with a sortable table per board, filtered by protocol, suite and dataset.

    Args:
        boards: the boards.
        published: tables of published numbers that are on no board, by protocol.
        folder: folder of the page, for links to the reports in the run folders; None for no links.
    """
    filters = [_filters(board) for board in boards]
    choices = {key: sorted({filter[key] for filter in filters}) for key in (filters[0] if filters else ())}
    sections = [_section(board, folder) for board in boards]
    sections += [_published_section(protocol, table) for protocol, table in published.items()]
    template = environment("facebench.compare").get_template("leaderboard.html")
    return translated_page(template.render(sections=sections, choices=choices, filter_names=_FILTERS))


def _section(board: Board, folder: Path | None) -> dict[str, Any]:
    """Values of the template for a board: the table, the records, and links to reports of earlier runs."""

    def address(run: Run) -> str:
        return "" if folder is None else _report_address(run, folder)

    models = board.models
    records = [(_label(model, run), run) for model in models for run in model.runs[::-1]]
    earlier = [(_label(model, run), address(run)) for model in models for run in model.runs[-2::-1]]
    table = page_table(board, address)
    return {
        "table": Markup(table.html()),
        "groups": _column_groups(board, table),
        "tags": {
            tag: sorted({run.tags[tag] for run in board.runs if tag in run.tags}) for tag in _tags_of(board)
        },
        "height": "tall" if len(table.rows) > SHORT_ROWS else "short",
        "verdict": board_verdict(board) if len(models) <= MOST_RECORDS else "",
        "filters": _filters(board),
        "records": records if len(records) <= MOST_RECORDS else [],
        "earlier": [(label, link) for label, link in earlier if link],
    }


def page_table(board: Board, address: Callable[[Run], str] = lambda run: "") -> Table:
    """Build the table of the page: model, rank, the primary metric, tags, the headline, the other metrics.

    The primary metric stands before the tags, so that a phone shows it without scrolling.

    Args:
        board: the board.
        address: returns the link target of the name of a run; empty for no link.
    """
    table = with_names(board.table(address), board.labels)
    index = {column.key: position for position, column in enumerate(table.columns)}
    tags = _tags(table)
    metrics = _by_importance(board, [metric for metric in table.best_names if metric in index])
    before = [key for key in ("model", "rank") if key in index]
    first, after = [*before, *metrics[:1]], metrics[1:]
    columns = [table.columns[index[key]] for key in first]
    columns += [Column(f"tag-{tag}", tag, numeric=False, is_name=True) for tag in tags]
    columns += [table.columns[index[metric]] for metric in after]
    rows = [
        [
            *(row[index[key]] for key in first),
            *(Cell(own.get(tag, "–")) for tag in tags),
            *(row[index[metric]] for metric in after),
        ]
        for row, own in zip(table.rows, table.row_tags, strict=True)
    ]
    return Table(columns, rows, table.caption, table.notes, table.breaks)


def _column_groups(board: Board, table: Table) -> list[tuple[str, list[tuple[str, str, bool]]]]:
    """Groups of metrics for the choice of columns: key, title, and whether the column is shown at first.

    Boards with many metrics show the headline of the protocol at first.
    """
    columns = [column for column in table.columns if column.numeric]
    metrics = [column.key for column in columns]
    protocol = load_protocols().get(board.runs[0].protocol)
    headline = metrics if protocol is None else protocol.headline_of(metrics)
    shown = set(metrics if len(metrics) <= MOST_COLUMNS or board.chosen is not None else headline)
    shown |= {board.sorted_by} if board.sorted_by else set()
    groups: dict[str, list[tuple[str, str, bool]]] = {}
    for column in columns:
        card = load_cards().get(column.key.partition("@")[0])
        kind = "further" if card is None else kind_of(card)
        groups.setdefault(_KINDS[kind], []).append((column.key, column.title, column.key in shown))
    return list(groups.items())


def _tags_of(board: Board) -> list[str]:
    return sorted({tag for run in board.runs for tag in run.tags} - {SEED})


def _tags(table: RankedTable) -> list[str]:
    """Return the tags of the models, apart from the training seed."""
    return sorted({tag for tags in table.row_tags for tag in tags} - {SEED})


def _by_importance(board: Board, metrics: Sequence[str]) -> list[str]:
    """Order metrics: the one that sorts the models, the headline of the protocol, the others; a chosen order stays."""
    if board.chosen is not None:
        return list(metrics)
    protocol = load_protocols().get(board.runs[0].protocol)
    headline = [] if protocol is None else protocol.headline_of(metrics)
    first = [board.sorted_by] if board.sorted_by in metrics else []
    return list(dict.fromkeys([*filter(None, first), *headline, *metrics]))


def _published_section(protocol: str, table: Table) -> dict[str, Any]:
    return {
        "table": Markup(table.html()),
        "filters": {"protocol": protocol, "suite": "published", "dataset": _NO_DATASET},
        "groups": [],
        "tags": {},
        "height": "tall" if len(table.rows) > SHORT_ROWS else "short",
        "verdict": "",
        "records": [],
        "earlier": [],
    }


def _filters(board: Board) -> dict[str, str]:
    run = board.runs[0]
    return {"protocol": run.protocol, "suite": run.suite, "dataset": board.dataset or _NO_DATASET}


def _label(model: Model, run: Run) -> str:
    return model.name if len(model.runs) == 1 else f"{run.name}, {run.created:%Y-%m-%d %H:%M}"


def _report_address(run: Run, folder: Path) -> str:
    """Relative URL of the report in the run folder; empty when there is none."""
    if run.folder is None or not (run.folder / REPORT).is_file():
        return ""
    return quote(Path(os.path.relpath(run.folder / REPORT, folder)).as_posix())
