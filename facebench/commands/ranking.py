"""`facebench leaderboard`: rank run records and write the board in the formats asked for."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from facebench.commands.show import print_table
from facebench.leaderboard import Leaderboard


def leaderboard_command(
    runs: list[Path], *, csv: Path | None, html: Path | None, latex: Path | None, markdown: Path | None
) -> None:
    """Print the boards and write the files asked for."""
    board = Leaderboard.from_runs(runs)
    console = Console()
    for part in board.boards:
        print_table(console, part.table().transposed())
    writers = [
        (csv, board.to_csv),
        (html, board.to_html),
        (latex, board.to_latex),
        (markdown, board.to_markdown),
    ]
    for path, write in writers:
        if path is not None:
            write(path)
            console.print(f"wrote {path}", style="dim", markup=False)
