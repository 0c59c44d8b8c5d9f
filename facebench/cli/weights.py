"""`facebench weights`: list, fetch, verify and import trained weights."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from facebench.backbones.weights import cache, cache_dir, lockfile, registry
from facebench.backbones.weights.fetch import ask_licence, import_file, offline
from facebench.backbones.weights.fetch import fetch as fetch_file
from facebench.backbones.weights.registry import Entry
from facebench.cli.choices import FormatOption, TableFormat
from facebench.cli.messages import Console, print_line
from facebench.cli.progress import Downloads
from facebench.cli.terminal_tables import show_tables
from facebench.core.errors import InputError, WeightsError
from facebench.core.language import message, translate
from facebench.core.suggest import suggest
from facebench.core.tables import Cell, Column, Table, Tone

app = typer.Typer(
    help="List, fetch, verify and import trained weights.\n\nWeights are fetched only on request.",
    no_args_is_help=True,
    add_completion=False,
)

Names = Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Entries of the list, or backbones.")]


@app.command("list")
def list_weights(style: FormatOption = TableFormat.auto) -> None:
    """List every file with its purpose, size, licence, source, and state on this machine."""
    entries = registry.entries().values()
    columns = [
        Column("name", message("Weights"), numeric=False),
        Column("about", message("Purpose"), numeric=False),
        Column("licence", message("Licence"), numeric=False),
        Column("source", message("Source"), numeric=False),
        Column("terms", message("Terms"), numeric=False),
        Column("bytes", message("Size")),
        Column("state", message("State"), numeric=False, words=True),
    ]
    table = Table(columns, [_row(entry) for entry in entries])
    show_tables(table.without_empty_columns(), style, data=table, after=[f"Folder: {cache_dir()}"])


@app.command()
def fetch(
    names: Names = None,
    suite: Annotated[str | None, typer.Option(help="Fetch all weights of a suite: paper or compact.")] = None,
    accept_licence: Annotated[
        bool, typer.Option("--accept-licence", help="Accept licences that exclude commercial use.")
    ] = False,
) -> None:
    """Fetch weights from their official sources; interrupted downloads are resumed."""
    selected = registry.select(_selected_names(names, suite))
    missing = [entry for entry in selected if not cache.path_of(entry).is_file()]
    if missing and offline():
        raise WeightsError(f"FACEBENCH_OFFLINE forbids the network.\n{cache.missing_text(missing)}")
    manual = [entry for entry in missing if not entry.urls]
    for entry in missing:
        if entry not in manual:
            ask_licence(entry, True if accept_licence else confirm_licence)
    fetched = [entry for entry in selected if entry not in manual]
    with Downloads(Console()) as downloads:
        for entry in fetched:
            if cache.wheel_path(entry) is None:
                fetch_file(entry, progress=downloads.update)
    for entry in fetched:
        print_line(f"{entry.name}: {cache.path_of(entry)}")
    if manual:
        raise WeightsError(cache.missing_text(manual))


@app.command()
def verify(names: Names = None) -> None:
    """Check the sha256 of the files in the cache; exit with code 1 when a file differs."""
    selected = registry.select(names) if names else list(registry.entries().values())
    absent = [entry for entry in selected if not cache.path_of(entry).is_file()]
    if names and absent:
        raise WeightsError(cache.missing_text(absent))
    intact = [_verify(entry) for entry in selected if entry not in absent]
    if not all(intact):
        raise typer.Exit(1)


def _verify(entry: Entry) -> bool:
    """Check one file and print the result."""
    console = Console()
    try:
        file = cache.resolve(entry.name)
    except WeightsError as error:
        console.print(f"[red]wrong[/red]  {entry.name}: ", end="")
        print_line(str(error))
        return False
    state = "[red]own[/red]   " if file.unofficial else "[green]good[/green]  "
    reason = "published fingerprint" if file.verified else "same as the copy trusted first"
    console.print(f"{state} {entry.name}: ", end="")
    print_line(f"{file.fingerprint if file.unofficial else reason}, sha256 {file.sha256}")
    return True


@app.command("import")
def import_weights(
    name: Annotated[str, typer.Argument(help="Entry of the list.")],
    file: Annotated[Path, typer.Argument(help="The file, or the archive in which it is published.")],
    unofficial: Annotated[
        bool,
        typer.Option(
            "--unofficial", help="Accept weights other than the published ones; every result names them."
        ),
    ] = False,
) -> None:
    """Check a downloaded file and copy it into the cache folder."""
    entry = registry.entry(name)
    if entry.non_commercial:
        print_line(f"Non-commercial use only: {entry.licence} ({entry.home})", style="yellow")
    path = import_file(entry, file.expanduser(), unofficial=unofficial)
    imported = cache.resolve(name)
    if imported.verified:
        remark = "equal to the published fingerprint"
    elif imported.unofficial:
        remark = (
            "NOT the official weights: every number made with them says so. "
            f"Restore the official file with: facebench weights fetch {name}"
        )
    else:
        remark = "no fingerprint is published: this copy is trusted from now on"
    print_line(f"{name}: {path}\nsha256 {imported.sha256}, {remark}")


@app.command()
def path(name: Annotated[str | None, typer.Argument(help="Entry of the list.")] = None) -> None:
    """Print the cache folder, or the path of one file."""
    typer.echo(cache.path_of(registry.entry(name)) if name else cache_dir())


def confirm_licence(entry: Entry) -> bool:
    """Show a licence and ask whether the user accepts it; without a terminal the answer is no."""
    print_line(
        f"{entry.name}: {entry.about}\n  licence: {entry.licence}\n  terms:   {entry.home}", stderr=True
    )
    try:
        return sys.stdin.isatty() and typer.confirm(translate("  Do you accept this licence?"), err=True)
    except typer.Abort:
        raise KeyboardInterrupt from None


def _selected_names(names: Sequence[str] | None, suite: str | None) -> Sequence[str]:
    """Return the given names, or the backbones of all protocols in a suite."""
    from facebench.evaluation.cards import find_card
    from facebench.evaluation.protocols import load_protocols

    if bool(names) == bool(suite):
        raise InputError("Say what to fetch: names from `facebench weights list`, or --suite paper.")
    if names:
        return names
    suites = [
        (str(key), metrics)
        for protocol in load_protocols().values()
        for key, metrics in protocol.suites.items()
    ]
    if suite not in dict(suites):
        raise InputError(f"'{suite}' is not a suite. {suggest(str(suite), dict(suites))}")
    metrics = {metric for key, ids in suites if key == suite for metric in ids}
    return sorted({name for metric in metrics for name in find_card(metric).backbones})


def _row(entry: Entry) -> list[Cell]:
    """Return name, purpose, licence, source, terms, size and state."""
    state, tone = _state(entry)
    return [
        Cell(entry.name),
        Cell(entry.about),
        _licence(entry),
        Cell(_source(entry)),
        Cell(entry.terms),
        Cell(_size(entry), entry.size),
        Cell(state, tone=tone),
    ]


def _licence(entry: Entry) -> Cell:
    if entry.non_commercial:
        return Cell(f"{entry.licence}, no commercial use", tone="warning")
    return Cell(entry.licence)


def _state(entry: Entry) -> tuple[str, Tone]:
    """Return the state of a file on this machine; the content is not read."""
    file = cache.path_of(entry)
    if file.is_file() and lockfile.known(cache_dir(), entry).unofficial:
        return "not official", "bad"
    if file.is_file():
        wrong_size = entry.size is not None and file.stat().st_size != entry.size
        return ("wrong size", "bad") if wrong_size else (message("present"), "good")
    partial = cache_dir() / f"{entry.file}.part"
    if partial.is_file():
        return f"incomplete, {partial.stat().st_size / 1e6:,.0f} MB", "warning"
    return (message("missing"), "") if entry.urls else ("missing, manual download", "")


def _size(entry: Entry) -> str:
    if entry.size is None:
        return "–"
    return f"{entry.size / 1e6:,.1f} MB" if entry.size >= 1e5 else f"{entry.size / 1e3:,.1f} kB"


def _source(entry: Entry) -> str:
    if cache.wheel_path(entry) is not None and entry.wheel is not None:
        return f"package {entry.wheel.distribution}"
    if entry.shipped:
        return "facebench"
    return urlsplit(entry.urls[0] if entry.urls else entry.home or "").hostname or ""
