"""`facebench published`: tables of published papers."""

from __future__ import annotations

from typing import Annotated

import typer

from facebench.cli.messages import Console, print_line


def published(
    name: Annotated[str | None, typer.Argument(help="Name of one table.")] = None,
) -> None:
    """List the tables of published papers, or print one table."""
    from facebench.cli.terminal_tables import print_table
    from facebench.compare.published import published_table, tables

    if name is not None:
        print_table(Console(), published_table(name))
        return
    for table in tables():
        print_line(table)
