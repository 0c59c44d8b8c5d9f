"""Self-contained HTML pages: no network, escaped text, light and dark, readable on paper and on a phone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

if TYPE_CHECKING:
    from facebench.leaderboard import Leaderboard


def leaderboard_page(leaderboard: Leaderboard) -> str:
    """One page with a table per board, sortable by a click on a heading."""
    boards = [
        {"table": Markup(board.table().html()), "apart": board.apart, "runs": board.runs}
        for board in leaderboard.boards
    ]
    return environment().get_template("leaderboard.html").render(boards=boards)


def environment() -> Environment:
    """Templates of this package, with every text escaped."""
    return Environment(
        loader=PackageLoader("facebench.report"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
