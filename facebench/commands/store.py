"""`facebench store`: look after the feature store."""

from __future__ import annotations

import re
from contextlib import closing
from typing import Annotated

import typer

from facebench.core.errors import InputError

app = typer.Typer(help="Look after the feature store.", no_args_is_help=True)

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


def parse_size(text: str) -> int:
    """Bytes in a size such as 800MB, 2GiB or 1.5 GB.

    Raises:
        InputError: it is not a size.

    Example:
        >>> parse_size("1.5 GB")
        1500000000
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]I?)?B?\s*", text, re.IGNORECASE)
    if match is None:
        raise InputError(f"'{text}' is not a size. Write it like 800MB or 2GiB.")
    return int(float(match[1]) * _UNITS[(match[2] or "").upper()])


def show_size(count: int) -> str:
    """Bytes for people.

    Example:
        >>> show_size(1_500_000_000)
        '1.5 GB'
    """
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


@app.command()
def info() -> None:
    """Show where the store lies, how large it is and what it holds."""
    from rich.console import Console
    from rich.table import Table

    from facebench.features.store.sqlite import Store

    with closing(Store()) as store:
        held = store.info()
    console = Console()
    console.print(f"{held.path}  {show_size(held.bytes)}, {held.entries} results", soft_wrap=True)
    if held.networks:
        table = Table("network", "weights", "preprocessing", "results", "size")
        for network, (count, size) in held.networks.items():
            table.add_row(
                network.name, network.weights[:12], network.preprocessing, str(count), show_size(size)
            )
        console.print(table)


@app.command()
def verify() -> None:
    """Check every stored result and remove the damaged ones; exit code 1 when there were any."""
    from facebench.features.store.sqlite import Store

    with closing(Store()) as store:
        sound, damaged = store.verify()
    for warning in store.warnings:
        typer.echo(warning)
    typer.echo(f"{sound} results are sound, {damaged} were damaged and have been removed.")
    if damaged or store.warnings:
        raise typer.Exit(1)


@app.command()
def prune(
    max_size: Annotated[str, typer.Option(help="Size to shrink the store to, such as 10GB or 500MB.")],
) -> None:
    """Remove the results not used for the longest time until the store is at most this large."""
    from facebench.features.store.sqlite import Store

    with closing(Store()) as store:
        removed = store.prune(parse_size(max_size))
        taken = show_size(store.info().bytes)
    typer.echo(f"{removed} results removed; the store now takes {taken}.")
