"""Hook of mkdocs that generates the pages of metric cards and protocols."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from facebench.evaluation.cards import Card, card_families, find_card, load_cards
from facebench.evaluation.protocols import Protocol, load_protocols
from facebench.report.pages.cards import facts

sys.path.insert(0, str(Path(__file__).parents[1]))  # mkdocs loads this file outside the package of tools
from tools.example_notebook import NOTEBOOK, markdown


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add every protocol to the navigation."""
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
    """Return the text of every page by its path relative to docs/."""
    families = card_families().values()
    found = {f"metrics/{card.id}.md": metric_page(card, family) for family in families for card in family}
    found |= {f"protocols/{name}.md": protocol_page(one) for name, one in load_protocols().items()}
    notebook = markdown(json.loads(NOTEBOOK.read_text(encoding="utf-8")))
    return found | {"metrics/index.md": index_page(), "notebook.md": notebook}


def metric_page(card: Card, family: Iterable[Card]) -> str:
    """Return the page of a card, with the protocols that use the metric and the other members of its family."""
    shown = [(heading, text) for heading, text in facts(card).items() if heading != "claims"]
    parts = [f"# {card.id} {card.arrow}".rstrip(), f"**{card.title}**", linked(card.about)]
    parts.append(table([("", "")], shown))
    if card.pitfalls:
        parts.append("## Pitfalls\n\n" + "\n".join(f"- {linked(pitfall)}" for pitfall in card.pitfalls))
    if card.claims:
        rows = [(kind.replace("_", " "), response) for kind, response in card.claims.items()]
        parts.append("## Response to damage\n\n" + table([("damage", "the value")], rows))
        parts.append(
            "The card claims these responses, and they are [tested on damaged faces](../validation.md)."
        )
    named = [
        f"[{protocol.id}](../protocols/{protocol.id}.md) ({suite})"
        for protocol in load_protocols().values()
        for suite, ids in protocol.suites.items()
        if card.id in ids
    ]
    parts.append("## Protocols\n\n" + (", ".join(named) or f"`--metrics {card.id}`"))
    others = [f"[{other.id}]({other.id}.md)" for other in family if other.id != card.id]
    if others:
        parts.append("## Same family\n\n" + ", ".join(others))
    return "\n\n".join(parts) + "\n"


def protocol_page(protocol: Protocol) -> str:
    """Return the page of a protocol: description, inputs, and metrics of both suites."""
    given = {
        "folder": "images",
        "identities": "one sub-folder of images for each person",
        "manifest": "a manifest with the columns image, source and target",
    }
    roles = [(role, given[kind]) for role, kind in protocol.roles.items()]
    samples = "made/manifest.csv" if protocol.roles["generated"] == "manifest" else "samples"
    against = " --reference photographs" if "reference" in protocol.roles else ""
    parts = [
        f"# {protocol.id}",
        f"**{protocol.title}**",
        linked(protocol.about),
        f"```console\nfacebench evaluate {samples} --protocol {protocol.id}{against}\n```",
        table([("role", "input")], roles),
    ]
    for suite, ids in protocol.suites.items():
        parts.append(
            f"## Suite {suite}\n\n" + metric_table([find_card(metric) for metric in ids], "../metrics/")
        )
    return "\n\n".join(parts) + "\n"


def index_page() -> str:
    """Return the index of all metrics by family."""
    parts = ["# Metrics", f"{len(load_cards())} metrics, each with a card."]
    for family, members in card_families().items():
        parts.append(f"## {family.replace('_', ' ')}\n\n" + metric_table(members, ""))
    return "\n\n".join(parts) + "\n"


def metric_table(members: Iterable[Card], folder: str) -> str:
    """Return a table of metrics with links and titles."""
    rows = [(f"[{card.id}]({folder}{card.id}.md) {card.arrow}".strip(), card.title) for card in members]
    return table([("metric", "title")], rows)


def linked(text: str) -> str:
    """Convert the names of pages in a text to links."""
    return re.sub(r"docs/([\w-]+)\.md", r"[\1](../\1.md)", text.strip())


def table(heading: list[tuple[str, str]], rows: Iterable[tuple[str, str]]) -> str:
    """Return a Markdown table of two columns."""
    lines = [*heading, ("---", "---"), *rows]
    return "\n".join(f"| {left} | {right.replace('|', chr(92) + '|')} |" for left, right in lines)
