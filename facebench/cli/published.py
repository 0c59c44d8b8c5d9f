"""`facebench published`: tables of published papers."""

from __future__ import annotations

from typing import Annotated

import typer

from facebench.cli.choices import FormatOption, TableFormat


def published(
    name: Annotated[str | None, typer.Argument(help="Name of one table.")] = None,
    style: FormatOption = TableFormat.auto,
) -> None:
    """List the tables of published papers, or print one table."""
    from facebench.cli.terminal_tables import show_tables
    from facebench.compare.published import published_list, published_table

    show_tables(published_list() if name is None else published_table(name), style)
