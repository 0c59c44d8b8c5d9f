"""Tables as they are printed at 40, 80 and 200 columns, compared with stored texts.

`FACEBENCH_UPDATE_SNAPSHOTS=1 pytest tests/cli/test_terminal_tables_snapshots.py` writes the texts again.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable

import pytest
from rich.console import Console

from facebench.cli.terminal_runs import print_run
from facebench.cli.terminal_tables import print_table, print_tables
from facebench.compare.difference_table import difference_table
from facebench.compare.gate import check
from facebench.compare.leaderboard import Leaderboard
from facebench.evaluation.record import Run
from tests.helpers.paths import REPOSITORY
from tests.helpers.records import make_run

SNAPSHOTS = REPOSITORY / "tests" / "goldens" / "tables"
WIDTHS = (40, 80, 200)


def runs() -> tuple[Run, Run]:
    """Two comparable runs: one with a note, and one with a missing value."""
    ours = make_run("ours", fd_lite0=10.25, precision_lite0=0.7, recall_lite0=0.4, face_found=0.99)
    theirs = make_run(
        "theirs-with-a-long-name", fd_lite0=18.5, precision_lite0=0.7, recall_lite0=None, face_found=0.97
    )
    noted = ours.metrics["fd_lite0"].model_copy(update={"note": "60 images, reliable from 2000"})
    ours.metrics["fd_lite0"] = noted
    return ours, theirs


def print_board(console: Console) -> None:
    tables = Leaderboard.from_runs(runs()).tables
    print_tables(console, [table.without_empty_columns().transposed() for table in tables])


PRINTED: dict[str, Callable[[Console], None]] = {
    "run": lambda console: print_run(console, runs()[0]),
    "leaderboard": print_board,
    "difference": lambda console: print_table(console, difference_table(*runs())),
    "check": lambda console: print_table(console, check(*runs()).table().without_empty_columns()),
}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PRINTED)
def test_a_table_is_printed_as_stored(name: str, width: int) -> None:
    console = Console(width=width, file=io.StringIO(), force_terminal=False)
    PRINTED[name](console)
    assert isinstance(console.file, io.StringIO)
    text = "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"
    assert max(map(len, text.splitlines())) <= width
    file = SNAPSHOTS / f"{name}-{width}.txt"
    if os.environ.get("FACEBENCH_UPDATE_SNAPSHOTS") == "1":
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")
