"""`facebench protocols`: list the protocols, or print one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.text import Text

from facebench.cli.choices import FormatOption, TableFormat
from facebench.cli.messages import Console
from facebench.core.language import message, translate
from facebench.core.tables import Cell, Column, Table

if TYPE_CHECKING:
    from facebench.evaluation.protocols import Protocol
    from facebench.evaluation.trained_protocols import TrainedProtocol


def protocols(
    name: Annotated[str | None, typer.Argument(help="Name of one protocol.")] = None,
    style: FormatOption = TableFormat.auto,
) -> None:
    """List the protocols, or print one protocol."""
    from facebench.cli.terminal_tables import show_tables
    from facebench.evaluation.protocols import find_protocol
    from facebench.evaluation.trained_protocols import load_trained_protocols

    trained = load_trained_protocols().get(name or "")
    if name is None:
        show_tables(_list(), style)
    elif style != TableFormat.auto:
        show_tables(_measures(trained) if trained else _metrics(find_protocol(name)), style)
    elif trained:
        _print_trained_protocol(trained)
    else:
        _print_protocol(find_protocol(name))


def _list() -> Table:
    from facebench.evaluation.protocols import load_protocols
    from facebench.evaluation.trained_protocols import load_trained_protocols

    columns = [
        Column("protocol", message("Protocol"), numeric=False),
        Column("title", message("Title"), numeric=False, words=True),
        Column("roles", message("Roles"), numeric=False),
    ]
    rows = [
        [Cell(protocol.id), Cell(protocol.title), Cell(", ".join(protocol.roles))]
        for protocol in load_protocols().values()
    ]
    rows += [
        [Cell(trained.id), Cell(trained.title), Cell("generated")]
        for trained in load_trained_protocols().values()
    ]
    notes = [
        f"{trained.id} is measured by: {trained.command}" for trained in load_trained_protocols().values()
    ]
    return Table(columns, rows, notes=notes)


def _metrics(protocol: Protocol) -> Table:
    from facebench.evaluation.cards import find_card

    columns = [
        Column("metric", message("Metric"), numeric=False),
        Column("suite", message("Suite"), numeric=False),
        Column("title", message("Title"), numeric=False, words=True),
    ]
    suites: dict[str, tuple[str, ...]] = {str(suite): ids for suite, ids in protocol.suites.items()}
    suites["clips"] = protocol.clips
    rows = [
        [Cell(metric), Cell(suite), Cell(find_card(metric).title)]
        for suite, metrics in suites.items()
        for metric in metrics
    ]
    return Table(columns, rows, protocol.title)


def _measures(protocol: TrainedProtocol) -> Table:
    columns = [
        Column("metric", message("Metric"), numeric=False),
        Column("title", message("Title"), numeric=False, words=True),
    ]
    rows = [[Cell(name), Cell(measure.title)] for name, measure in protocol.measures.items()]
    return Table(columns, rows, protocol.title)


def _print_protocol(protocol: Protocol) -> None:
    from facebench.evaluation.cards import find_card

    console = Console()
    console.print(f"[bold]{protocol.id}[/bold]  {escape(translate(protocol.title))}")
    console.print(escape(translate(protocol.about.strip())))
    for role, kind in protocol.roles.items():
        console.print(f"  {role}: {kind}")
    headline = ", ".join("/".join(names) for names in protocol.headline)
    console.print(Text(translate(f"  headline: {headline}")))
    suites: dict[str, tuple[str, ...]] = {str(suite): metrics for suite, metrics in protocol.suites.items()}
    if protocol.clips:
        suites[translate("frames of clips, in addition")] = protocol.clips
    for suite, metrics in suites.items():
        console.print(f"\n[bold]{suite}[/bold]")
        for metric in metrics:
            card = find_card(metric)
            console.print(f"  {metric} {card.arrow}  [dim]{escape(translate(card.title))}[/dim]")


def _print_trained_protocol(protocol: TrainedProtocol) -> None:
    console = Console()
    console.print(f"[bold]{protocol.id}[/bold]  {escape(translate(protocol.title))}")
    console.print(escape(translate(protocol.about.strip())))
    console.print(f"  command: {protocol.command}\n")
    for name, measure in protocol.measures.items():
        console.print(f"  {name}  [dim]{escape(translate(measure.title))}[/dim]")
