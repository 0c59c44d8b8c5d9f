"""`facebench leaderboard`: rank run records, print the boards and write them to files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from facebench.cli.messages import print_line


def leaderboard(
    runs: Annotated[list[Path], typer.Argument(help="Run folders or record files.")],
    csv: Annotated[Path | None, typer.Option(help="Write CSV.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a self-contained page.")] = None,
    latex: Annotated[Path | None, typer.Option(help="Write LaTeX (booktabs).")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write Markdown.")] = None,
    with_published: Annotated[
        bool,
        typer.Option("--with-published", help="Add published results, marked and not ranked."),
    ] = False,
) -> None:
    """Rank models by their run records."""
    from facebench.cli.terminal_tables import print_table
    from facebench.compare.leaderboard import Leaderboard

    board = Leaderboard.from_runs(runs, published=with_published)
    console = Console()
    for table in board.tables():
        print_table(console, table.transposed())
    for path, write in (
        (csv, board.to_csv),
        (html, board.to_html),
        (latex, board.to_latex),
        (markdown, board.to_markdown),
    ):
        if path is not None:
            write(path)
            print_line(f"wrote {path}", style="dim")
