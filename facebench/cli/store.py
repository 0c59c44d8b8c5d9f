"""`facebench store`: maintenance of the feature store."""

from __future__ import annotations

import re
from contextlib import closing
from typing import Annotated

import typer

from facebench.cli.choices import FormatOption, TableFormat
from facebench.cli.messages import print_line
from facebench.cli.terminal_tables import show_tables
from facebench.core.errors import InputError
from facebench.core.language import message
from facebench.core.tables import Cell, Column, Table

app = typer.Typer(
    help="Inspect, verify and shrink the feature store.", no_args_is_help=True, add_completion=False
)

_UNITS = {
    "": 1,
    "K": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
    "KI": 2**10,
    "MI": 2**20,
    "GI": 2**30,
    "TI": 2**40,
}


@app.command()
def info(style: FormatOption = TableFormat.auto) -> None:
    """Show the location, size and contents of the store."""
    from facebench.features.store.sqlite import Store

    with closing(Store()) as store:
        contents = store.info()
    columns = [
        Column("network", message("Network"), numeric=False),
        Column("weights", message("Weights"), numeric=False),
        Column("preprocessing", message("Preprocessing"), numeric=False),
        Column("results", message("Results")),
        Column("bytes", message("Size")),
    ]
    rows = [
        [
            Cell(network.name),
            Cell(network.weights[:12]),
            Cell(network.preprocessing),
            Cell(str(count), count),
            Cell(format_size(size), size),
        ]
        for network, (count, size) in contents.networks.items()
    ]
    table = Table(columns, rows)
    if not style.is_data:
        print_line(
            f"Feature store {contents.path}: {format_size(contents.bytes)}, {contents.entries} results"
        )
    if rows or style.is_data:
        show_tables(table, style)


@app.command()
def verify() -> None:
    """Check all stored results and remove damaged ones; exit with code 1 when any were damaged."""
    from facebench.features.store.sqlite import Store

    with closing(Store()) as store:
        intact, damaged = store.verify()
    for warning in store.warnings:
        print_line(warning)
    print_line(f"{intact} results are intact, {damaged} were damaged and have been removed.")
    if damaged or store.warnings:
        raise typer.Exit(1)


@app.command()
def prune(
    max_size: Annotated[str, typer.Option(help="Largest size of the store, such as 10GB or 500MB.")],
) -> None:
    """Remove the least recently used results until the store has at most the given size."""
    from facebench.features.store.sqlite import Store

    with closing(Store()) as store:
        removed = store.prune(parse_size(max_size))
        size = format_size(store.info().bytes)
    print_line(f"{removed} results removed; the size of the store is now {size}.")


def parse_size(text: str) -> int:
    """Return the bytes in a size such as 800MB, 2GiB or 1.5 GB.

    Raises:
        InputError: the text is not a size.

    Example:
        >>> parse_size("1.5 GB")
        1500000000
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]I?)?B?\s*", text, re.IGNORECASE)
    if match is None:
        raise InputError(f"'{text}' is not a size. Write it like 800MB or 2GiB.")
    return int(float(match[1]) * _UNITS[(match[2] or "").upper()])


def format_size(count: int) -> str:
    """Return a number of bytes with a unit.

    Example:
        >>> format_size(1_500_000_000)
        '1.5 GB'
    """
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
