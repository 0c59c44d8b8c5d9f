"""`facebench protocols`: list the protocols, or print one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from facebench.cli.messages import Console
from facebench.core.language import translate

if TYPE_CHECKING:
    from facebench.evaluation.protocols import Protocol
    from facebench.evaluation.trained_protocols import TrainedProtocol


def protocols(
    name: Annotated[str | None, typer.Argument(help="Name of one protocol.")] = None,
) -> None:
    """List the protocols, or print one protocol."""
    from facebench.evaluation.protocols import find_protocol
    from facebench.evaluation.trained_protocols import load_trained_protocols

    if name is None:
        _print_list()
    elif name in load_trained_protocols():
        _print_trained_protocol(load_trained_protocols()[name])
    else:
        _print_protocol(find_protocol(name))


def _print_list() -> None:
    from facebench.evaluation.protocols import load_protocols
    from facebench.evaluation.trained_protocols import load_trained_protocols

    table = Table(box=None, header_style="bold")
    for heading in ("protocol", "title", "roles"):
        table.add_column(translate(heading))
    for protocol in load_protocols().values():
        table.add_row(protocol.id, escape(translate(protocol.title)), ", ".join(protocol.roles))
    for trained in load_trained_protocols().values():
        table.add_row(trained.id, escape(translate(trained.title)), f"generated; {trained.command}")
    Console().print(table)


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
