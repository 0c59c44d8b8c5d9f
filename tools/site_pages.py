"""Pages of the documentation site that are written from the cards while it is built (a hook of mkdocs)."""

from __future__ import annotations

import re
from collections.abc import Iterable

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from facebench.evaluation.cards import Card, card_families, find_card, load_cards
from facebench.evaluation.protocols import Protocol, load_protocols
from facebench.report.pages.cards import facts


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put every protocol into the navigation."""
    for entry in config.nav or []:
        if isinstance(entry, dict) and "Protocols" in entry:
            entry["Protocols"] = [{name: f"protocols/{name}.md"} for name in load_protocols()]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for each metric and each protocol, and an index of the metrics."""
    for name, text in pages().items():
        files.append(File.generated(config, name, content=text))
    return files


def pages() -> dict[str, str]:
    """Every page by the place where it would lie in docs/."""
    found = {f"metrics/{metric}.md": metric_page(card) for metric, card in load_cards().items()}
    found |= {f"protocols/{name}.md": protocol_page(one) for name, one in load_protocols().items()}
    return found | {"metrics/index.md": index_page()}


def metric_page(card: Card) -> str:
    """All that a card says, and where the metric is used."""
    family = next(members for members in card_families().values() if card.id in {m.id for m in members})
    shown = [(heading, text) for heading, text in facts(card).items() if heading != "claims"]
    parts = [f"# {card.id} {card.arrow}".rstrip(), f"**{card.title}**", linked(card.about)]
    parts.append(table([("", "")], shown))
    if card.pitfalls:
        parts.append("## Pitfalls\n\n" + "\n".join(f"- {linked(pitfall)}" for pitfall in card.pitfalls))
    if card.claims:
        rows = [(kind.replace("_", " "), response) for kind, response in card.claims.items()]
        parts.append("## What it answers to\n\n" + table([("as this grows", "the value")], rows))
        parts.append("Claimed by the card, and [tested on damaged faces](../validation.md).")
    named = [
        f"[{protocol.id}](../protocols/{protocol.id}.md) ({suite})"
        for protocol in load_protocols().values()
        for suite, ids in protocol.suites.items()
        if card.id in ids
    ]
    parts.append("## Where it is used\n\n" + (", ".join(named) or f"`--metrics {card.id}`"))
    others = [f"[{other.id}]({other.id}.md)" for other in family if other.id != card.id]
    if others:
        parts.append("## Of the same family\n\n" + ", ".join(others))
    return "\n\n".join(parts) + "\n"


def protocol_page(protocol: Protocol) -> str:
    """What a protocol asks, what it needs, and its metrics in both suites."""
    given = {
        "folder": "images",
        "identities": "one sub-folder of images for each person",
        "manifest": "a table that names image, source and target",
    }
    roles = [(role, given[kind]) for role, kind in protocol.roles.items()]
    samples = "made/manifest.csv" if protocol.roles["generated"] == "manifest" else "samples"
    against = " --reference photographs" if "reference" in protocol.roles else ""
    parts = [
        f"# {protocol.id}",
        f"**{protocol.title}**",
        linked(protocol.about),
        f"```console\nfacebench evaluate {samples} --protocol {protocol.id}{against}\n```",
        table([("role", "what is given")], roles),
    ]
    for suite, ids in protocol.suites.items():
        parts.append(
            f"## Suite {suite}\n\n" + metric_table([find_card(metric) for metric in ids], "../metrics/")
        )
    return "\n\n".join(parts) + "\n"


def index_page() -> str:
    """All metrics, family by family."""
    parts = ["# Metrics", f"{len(load_cards())} metrics, each with a card of its own."]
    for family, members in card_families().items():
        parts.append(f"## {family.replace('_', ' ')}\n\n" + metric_table(members, ""))
    return "\n\n".join(parts) + "\n"


def metric_table(members: Iterable[Card], folder: str) -> str:
    """Metrics with their titles, linked."""
    rows = [(f"[{card.id}]({folder}{card.id}.md) {card.arrow}".strip(), card.title) for card in members]
    return table([("metric", "what it is")], rows)


def linked(text: str) -> str:
    """Prose of a card, with the pages that it names as links."""
    return re.sub(r"docs/([\w-]+)\.md", r"[\1](../\1.md)", text.strip())


def table(heading: list[tuple[str, str]], rows: Iterable[tuple[str, str]]) -> str:
    """A Markdown table of two columns."""
    lines = [*heading, ("---", "---"), *rows]
    return "\n".join(f"| {left} | {right.replace('|', chr(92) + '|')} |" for left, right in lines)
