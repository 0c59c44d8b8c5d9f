"""`facebench leaderboard`: rank run records and write the board in the formats asked for."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from facebench.cli.show import print_table
from facebench.compare.leaderboard import Leaderboard
from facebench.compare.published import published_table, tables


def leaderboard_command(
    runs: list[Path],
    *,
    csv: Path | None,
    html: Path | None,
    latex: Path | None,
    markdown: Path | None,
    published: bool,
) -> None:
    """Print the boards and write the files asked for."""
    board = Leaderboard.from_runs(runs, published=published)
    console = Console()
    for table in board.tables():
        print_table(console, table.transposed())
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


def published_command(name: str | None) -> None:
    """Print one published table, or the names of all."""
    console = Console()
    if name is not None:
        print_table(console, published_table(name))
        return
    for table in tables():
        console.print(table, markup=False)
