"""`facebench metrics`: list the metrics, or print one card."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from facebench.cli.messages import print_line


def metrics(
    metric: Annotated[str | None, typer.Argument(help="Id of one metric.")] = None,
) -> None:
    """List the metrics, or print the card of one metric."""
    if metric is None:
        _print_list()
    else:
        _print_card(metric)


def _print_list() -> None:
    from facebench.evaluation.cards import load_cards

    table = Table(box=None, header_style="bold")
    for heading in ("metric", "", "title", "backbone", "needs"):
        table.add_column(heading)
    for card in load_cards().values():
        table.add_row(card.id, card.arrow, escape(card.title), card.reads.backbone, ", ".join(card.needs))
    Console().print(table)


def _print_card(metric: str) -> None:
    from facebench.evaluation.cards import card_file, find_card
    from facebench.report.pages.cards import facts

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
    console.print()
    print_line(f"card: {card_file(metric)}", style="dim")
