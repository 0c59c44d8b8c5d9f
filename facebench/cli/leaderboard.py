"""`facebench leaderboard`: rank run records, print the boards and write them to files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facebench.cli.choices import FormatOption, TableFormat, split_list
from facebench.core.errors import InputError

if TYPE_CHECKING:
    from facebench.compare.leaderboard import Leaderboard


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
    sort: Annotated[
        str | None,
        typer.Option(help="Sort models by this metric; by default the primary metric of the protocol."),
    ] = None,
    metrics: Annotated[
        str | None, typer.Option(help="Show only these metrics, in this order, separated by commas.")
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(help="Names of models or metrics to show, as NAME=LABEL separated by commas."),
    ] = None,
    style: FormatOption = TableFormat.auto,
) -> None:
    """Rank models by their run records.

    Bold models cannot be distinguished from the best. Runs with the tag `seed` are training runs of one model.
    """
    from facebench.cli.terminal_tables import print_written
    from facebench.compare.leaderboard import Leaderboard

    board = Leaderboard.from_runs(
        runs,
        published=with_published,
        sort=sort,
        metrics=split_list(metrics),
        labels=_labels(labels),
    )
    _print(board, style)
    writers = (
        (csv, board.to_csv),
        (html, board.to_html),
        (latex, board.to_latex),
        (markdown, board.to_markdown),
    )
    for path, write in writers:
        if path is not None:
            write(path)
            print_written([path], style)


def _print(board: Leaderboard, style: TableFormat) -> None:
    from facebench.cli.terminal_tables import show_tables

    if style == TableFormat.csv:
        sys.stdout.write(board.to_csv())
    elif style == TableFormat.json:
        sys.stdout.write(board.to_json())
    else:
        tables = [table.without_empty_columns().transposed() for table in board.tables]
        show_tables(tables, style, before=board.verdicts())


def _labels(text: str | None) -> dict[str, str]:
    """Read NAME=LABEL pairs, separated by commas."""
    labels = {}
    for part in split_list(text) or []:
        name, equals, label = part.partition("=")
        if not equals or not name or not label:
            raise InputError(f"--labels {part}: expected NAME=LABEL.")
        labels[name] = label
    return labels
