"""`facebench metrics` and `facebench protocols`: the cards, for reading."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from facebench.evaluation.cards import find_card, load_cards
from facebench.evaluation.protocols import find_protocol, load_protocols
from facebench.evaluation.trained_protocols import TrainedProtocol, load_trained_protocols
from facebench.report.pages.cards import facts


def print_cards() -> None:
    """One line per metric."""
    table = Table(box=None, header_style="bold")
    for heading in ("metric", "", "title", "backbone", "needs"):
        table.add_column(heading)
    for card in load_cards().values():
        table.add_row(card.id, card.arrow, escape(card.title), card.reads.backbone, ", ".join(card.needs))
    Console().print(table)


def print_card(metric: str) -> None:
    """Everything a card says."""
    card = find_card(metric)
    console = Console()
    console.print(f"[bold]{card.id}[/bold] {card.arrow}  {escape(card.title)}")
    grid = Table.grid(padding=(0, 2))
    for heading, text in facts(card).items():
        grid.add_row(f"[dim]{heading}[/dim]", escape(text))
    console.print(grid)
    console.print()
    console.print(escape(card.about.strip()))
    for pitfall in card.pitfalls:
        console.print(f"• {escape(pitfall)}")


def print_protocols() -> None:
    """One line per protocol."""
    table = Table(box=None, header_style="bold")
    for heading in ("protocol", "title", "roles"):
        table.add_column(heading)
    for protocol in load_protocols().values():
        table.add_row(protocol.id, escape(protocol.title), ", ".join(protocol.roles))
    for training in load_trained_protocols().values():
        table.add_row(training.id, escape(training.title), f"generated; {training.command}")
    Console().print(table)


def print_protocol(name: str) -> None:
    """A protocol's roles and the metrics of both suites."""
    if name in load_trained_protocols():
        _print_training(load_trained_protocols()[name])
        return
    protocol = find_protocol(name)
    console = Console()
    console.print(f"[bold]{protocol.id}[/bold]  {escape(protocol.title)}")
    console.print(escape(protocol.about.strip()))
    for role, kind in protocol.roles.items():
        console.print(f"  {role}: {kind}")
    for suite, metrics in protocol.suites.items():
        console.print(f"\n[bold]{suite}[/bold]")
        for metric in metrics:
            card = find_card(metric)
            console.print(f"  {metric} {card.arrow}  [dim]{escape(card.title)}[/dim]")


def _print_training(training: TrainedProtocol) -> None:
    console = Console()
    console.print(f"[bold]{training.id}[/bold]  {escape(training.title)}")
    console.print(escape(training.about.strip()))
    console.print(f"  command: {training.command}\n")
    for name, measure in training.measures.items():
        console.print(f"  {name}  [dim]{escape(measure.title)}[/dim]")
