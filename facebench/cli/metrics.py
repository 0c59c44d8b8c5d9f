"""`facebench metrics`: list metrics, or print one card."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from facebench.cli.messages import Console, print_line
from facebench.core.errors import InputError
from facebench.core.language import translate
from facebench.core.suggest import suggest

if TYPE_CHECKING:
    from facebench.evaluation.cards import Card

_SUITES = ("paper", "compact")


def metrics(
    text: Annotated[
        str | None, typer.Argument(metavar="[TEXT]", help="Id of one metric, or text in ids and titles.")
    ] = None,
    protocol: Annotated[str | None, typer.Option(help="Only metrics of this protocol.")] = None,
    suite: Annotated[str | None, typer.Option(help="Only metrics of this suite: paper or compact.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the list as JSON.")] = False,
) -> None:
    """List the metrics, or print the card of one metric."""
    from facebench.evaluation.cards import load_cards

    if text is not None and text in load_cards() and not (protocol or suite or as_json):
        _print_card(text)
        return
    cards = _select(text, protocol, suite)
    if as_json:
        sys.stdout.write(json.dumps([_fields(card) for card in cards], indent=2, ensure_ascii=False) + "\n")
    elif sys.stdout.isatty():
        _print_list(Console(), cards)
    else:
        sys.stdout.write(
            "".join(f"{card.id} {card.arrow or '–'} {translate(card.title)}\n" for card in cards)
        )
    if not as_json and text in _protocol_names():
        print_line(
            f"'{text}' is a protocol: facebench metrics --protocol {text} lists its metrics.", stderr=True
        )


def _select(text: str | None, protocol: str | None, suite: str | None) -> list[Card]:
    """Return the cards that match every filter.

    Raises:
        InputError: the protocol or the suite is unknown, or no metric matches.
    """
    from facebench.evaluation.cards import load_cards

    if suite is not None and suite not in _SUITES:
        raise InputError(f"There is no suite '{suite}'. {suggest(suite, _SUITES)}")
    cards = load_cards()
    known = list(cards) if protocol is None and suite is None else _suite_metrics(protocol, suite)
    words = (text or "").lower().split()
    selected = [cards[metric] for metric in known if all(word in _searched(cards[metric]) for word in words)]
    if not selected and text in _protocol_names():
        raise InputError(
            f"There is no metric '{text}'; it is a protocol. List its metrics: facebench metrics --protocol {text}"
        )
    if not selected:
        raise InputError(f"No metric contains '{text or ''}'. {suggest(text or '', known)}")
    return selected


def _suite_metrics(protocol: str | None, suite: str | None) -> list[str]:
    """Return the metrics of one or all protocols, in one or both suites; each once."""
    from facebench.evaluation.protocols import find_protocol, load_protocols

    protocols = [find_protocol(protocol)] if protocol is not None else list(load_protocols().values())
    return list(
        dict.fromkeys(
            metric
            for each in protocols
            for name, suite_metrics in each.suites.items()
            if suite in (None, name)
            for metric in suite_metrics
        )
    )


def _searched(card: Card) -> str:
    return f"{card.id} {card.title} {translate(card.title)}".lower()


def _protocol_names() -> list[str]:
    from facebench.evaluation.protocols import load_protocols

    return list(load_protocols())


def _fields(card: Card) -> dict[str, object]:
    return {
        "id": card.id,
        "better": card.better,
        "title": card.title,
        "unit": card.unit,
        "backbone": card.reads.backbone,
        "needs": list(card.needs),
    }


def _print_list(console: Console, cards: Sequence[Card]) -> None:
    """Print the id of each metric, and its title on the lines below; nothing is cut."""
    for card in cards:
        console.print(Text(f"{card.id} {card.arrow}".rstrip(), style="bold"), soft_wrap=True)
        for line in _wrapped(translate(card.title), max(console.width - 2, 20)):
            console.print(Text(f"  {line}"), soft_wrap=True)
    print_line(
        f"{len(cards)} metrics. Filter them by --protocol, --suite or TEXT; `facebench metrics ID` prints a card.",
        style="dim",
        stderr=True,
    )


def _wrapped(text: str, width: int) -> list[str]:
    """Break a text into lines; Japanese characters are two columns wide, and lines may end between them."""
    return [line.plain.rstrip() for line in Text(text).wrap(Console(), width)]


def _print_card(metric: str) -> None:
    from facebench.evaluation.cards import card_file, find_card
    from facebench.report.pages.cards import facts

    card = find_card(metric)
    console = Console()
    console.print(f"[bold]{card.id}[/bold] {card.arrow}  {escape(translate(card.title))}")
    grid = Table.grid(padding=(0, 2))
    for heading, text in facts(card).items():
        grid.add_row(f"[dim]{translate(heading)}[/dim]", escape(translate(text)))
    console.print(grid)
    console.print()
    console.print(Text(card.about.strip()))
    for pitfall in card.pitfalls:
        console.print(Text(f"• {translate(pitfall)}"))
    console.print()
    print_line(f"card: {card_file(metric)}", style="dim")
