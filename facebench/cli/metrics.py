"""`facebench metrics`: list metrics, or print one card."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table as Grid
from rich.text import Text

from facebench.cli.choices import FormatOption, TableFormat
from facebench.cli.messages import Console, print_line
from facebench.cli.terminal_tables import show_tables
from facebench.cli.wrapping import wrap
from facebench.core.errors import InputError
from facebench.core.language import message, translate
from facebench.core.suggest import suggest
from facebench.core.tables import Cell, Column, Table
from facebench.evaluation.kinds import KINDS, kind_of

if TYPE_CHECKING:
    from facebench.evaluation.cards import Card

_SUITES = ("paper", "compact")


@dataclass(frozen=True)
class _Filter:
    """Properties of the metrics that are listed; None and False select all."""

    text: str | None
    protocol: str | None
    suite: str | None
    kind: str | None
    at_hand: bool

    @property
    def is_text_only(self) -> bool:
        return not (self.protocol or self.suite or self.kind or self.at_hand)


def metrics(
    text: Annotated[
        str | None, typer.Argument(metavar="TEXT", help="Id of one metric, or text in ids and titles.")
    ] = None,
    protocol: Annotated[str | None, typer.Option(help="Only metrics of this protocol.")] = None,
    suite: Annotated[str | None, typer.Option(help="Only metrics of this suite: paper or compact.")] = None,
    kind: Annotated[
        str | None, typer.Option(help=f"Only metrics of this kind of measurement: {', '.join(KINDS)}.")
    ] = None,
    at_hand: Annotated[
        bool, typer.Option("--at-hand", help="Only metrics whose weights are on this machine.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the list as JSON.")] = False,
    style: FormatOption = TableFormat.auto,
) -> None:
    """List the metrics, or print the card of one metric."""
    from facebench.evaluation.cards import load_cards

    style = TableFormat.json if as_json else style
    wanted = _Filter(text, protocol, suite, kind, at_hand)
    if text in load_cards() and wanted.is_text_only and style == TableFormat.auto:
        _print_card(text)
        return
    cards = _select(wanted)
    if style == TableFormat.json:
        sys.stdout.write(json.dumps([_fields(card) for card in cards], indent=2, ensure_ascii=False) + "\n")
    elif style != TableFormat.auto:
        show_tables(_table(cards), style)
    elif sys.stdout.isatty():
        _print_list(Console(), cards)
    else:
        sys.stdout.write(
            "".join(f"{card.id} {card.arrow or '–'} {translate(card.title)}\n" for card in cards)
        )
    if not style.is_data and text in _protocol_names():
        print_line(
            f"'{text}' is a protocol: facebench metrics --protocol {text} lists its metrics.", stderr=True
        )


def _select(wanted: _Filter) -> list[Card]:
    """Return the cards that match every property.

    Raises:
        InputError: the protocol, the suite or the kind is unknown, or no metric matches.
    """
    from facebench.evaluation.network_choice import missing_entries

    if wanted.kind is not None and wanted.kind not in KINDS:
        raise InputError(f"'{wanted.kind}' is not a kind of measurement. The kinds are {', '.join(KINDS)}.")
    selected = _containing(wanted)
    if wanted.kind is not None:
        selected = [card for card in selected if kind_of(card) == wanted.kind]
    if not selected:
        raise InputError(f"None of these metrics is of the kind '{wanted.kind}'. Leave out one option.")
    if wanted.at_hand:
        selected = [card for card in selected if not missing_entries(card)]
    if not selected:
        raise InputError(
            "The weights of these metrics are not on this machine. `facebench doctor` shows how to get them."
        )
    return selected


def _containing(wanted: _Filter) -> list[Card]:
    """Return the cards of a protocol and suite whose id or title contains all words of the text."""
    from facebench.evaluation.cards import load_cards

    text, cards = wanted.text or "", load_cards()
    if wanted.suite is not None and wanted.suite not in _SUITES:
        raise InputError(f"'{wanted.suite}' is not a suite. {suggest(wanted.suite, _SUITES)}")
    by_suite = wanted.protocol is not None or wanted.suite is not None
    known = _suite_metrics(wanted.protocol, wanted.suite) if by_suite else list(cards)
    words = text.lower().split()
    selected = [cards[metric] for metric in known if all(word in _searched(cards[metric]) for word in words)]
    if not selected and text in _protocol_names():
        raise InputError(
            f"'{text}' is a protocol, not a metric. List its metrics: facebench metrics --protocol {text}"
        )
    if not selected:
        raise InputError(f"No metric contains '{text}'. {suggest(text, known)}")
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
    from facebench.evaluation.network_choice import missing_entries

    return {
        "id": card.id,
        "better": card.better,
        "title": card.title,
        "unit": card.unit,
        "kind": kind_of(card),
        "backbone": card.reads.backbone,
        "needs": list(card.needs),
        "at_hand": not missing_entries(card),
    }


def _table(cards: Sequence[Card]) -> Table:
    columns = [
        Column("id", message("Metric"), numeric=False),
        Column("better", message("Better"), numeric=False, words=True),
        Column("title", message("Title"), numeric=False, words=True),
        Column("unit", message("Unit"), numeric=False, words=True),
        Column("kind", message("Kind"), numeric=False, words=True),
        Column("backbone", message("Network"), numeric=False),
        Column("needs", message("Needs"), numeric=False),
        Column("at_hand", "At hand", numeric=False, words=True),
    ]
    rows = []
    for card in cards:
        fields = _fields(card) | {"needs": ", ".join(card.needs)}
        fields["at_hand"] = message("yes") if fields["at_hand"] else message("no")
        rows.append([Cell(str(fields[column.key])) for column in columns])
    return Table(columns, rows)


def _print_list(console: Console, cards: Sequence[Card]) -> None:
    """Print the id of each metric, and its title on the lines below; nothing is cut."""
    for card in cards:
        console.print(Text(f"{card.id} {card.arrow}".rstrip(), style="bold"), soft_wrap=True)
        for line in wrap(translate(card.title), max(console.width - 2, 20)):
            console.print(Text(f"  {line}"), soft_wrap=True)
    print_line(
        f"{len(cards)} metrics. Filter them by --protocol, --suite, --kind, --at-hand or TEXT; "
        "`facebench metrics ID` prints a card.",
        style="dim",
        stderr=True,
    )


def _print_card(metric: str) -> None:
    from facebench.evaluation.cards import card_file, find_card
    from facebench.report.pages.cards import facts

    card = find_card(metric)
    console = Console()
    console.print(f"[bold]{card.id}[/bold] {card.arrow}  {escape(translate(card.title))}")
    grid = Grid.grid(padding=(0, 2))
    for heading, text in facts(card).items():
        grid.add_row(f"[dim]{translate(heading)}[/dim]", escape(translate(text)))
    console.print(grid)
    console.print()
    console.print(Text(card.about.strip()))
    for pitfall in card.pitfalls:
        console.print(Text(f"• {translate(pitfall)}"))
    console.print()
    print_line(f"card: {card_file(metric)}", style="dim")
