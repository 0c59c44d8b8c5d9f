"""Markdown reference of all metrics and protocols: `python -m facebench.report.pages.cards DIR`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from facebench.backbones.weights import registry
from facebench.core.errors import InputError
from facebench.core.language import message
from facebench.evaluation.cards import DETECTOR, Card, card_families, card_family
from facebench.evaluation.protocols import Protocol, load_protocols

_DIRECTION = {"higher": "higher is better", "lower": "lower is better", "neither": "no better direction"}
_INTERVALS = {
    "jackknife": message("jackknife"),
    "bootstrap_images": "bootstrap over images",
    "bootstrap_identities": "bootstrap over identities",
    "none": message("none"),
}
_NOTICE = "<!-- Written from the cards by facebench.report.pages.cards; change metrics/*.yaml instead. -->"


def facts(card: Card) -> dict[str, str]:
    """Return the fields of a card as text by heading, without empty fields.

    Example:
        >>> from facebench.evaluation.cards import find_card
        >>> facts(find_card("eer_sface"))["range"]
        '0 to 1'
    """
    low, high = card.range
    span = f"{'−∞' if low is None else f'{low:g}'} to {'∞' if high is None else f'{high:g}'} {card.unit}"
    array = card.reads.array if isinstance(card.reads.array, str) else ", ".join(card.reads.array)
    fields = {
        message("better"): _DIRECTION[card.better],
        message("range"): span.strip(),
        message("formula"): card.formula,
        "computed by": f"facebench.metrics.{card.compute}" + (f" → {card.field}" if card.field else ""),
        message("with"): ", ".join(f"{key} = {value}" for key, value in card.params.items()),
        message("reads"): f"{array} of {card.reads.backbone}",
        message("domain"): card.domain,
        message("needs"): ", ".join(card.needs) or "only the generated images",
        "smallest n": f"{card.smallest_n} (below: no value)",
        "reliable n": f"{card.reliable_n} (below: marked †)",
        "depends on n": "compare only sets of equal size" if card.depends_on_n else "",
        message("interval"): _INTERVALS[card.interval],
        message("claims"): ", ".join(f"{kind}: {response}" for kind, response in card.claims.items()),
        message("source"): card.source,
        message("terms"): " ".join(dict.fromkeys(filter(None, map(_terms, card.backbones)))),
    }
    return {heading: text for heading, text in fields.items() if text}


def _terms(backbone: str) -> str:
    """Return what may be done with the weights of a network and with its numbers; empty without restrictions."""
    entries = [] if backbone == DETECTOR else registry.needed_by(backbone)
    return " ".join(entry.terms for entry in entries if entry.terms)


def card_pages() -> dict[str, str]:
    """Return the pages by file name: one per family of metrics, one for the protocols, and an index."""
    families = card_families()
    pages = {f"{family}.md": _family_page(family, members) for family, members in families.items()}
    pages["protocols.md"] = _page("Protocols", map(_protocol_section, load_protocols().values()))
    return {"README.md": _index(families)} | pages


def write_card_pages(folder: Path) -> list[Path]:
    """Write all pages into a folder and remove pages of families that no longer exist.

    Raises:
        InputError: the folder contains a Markdown file that was not written from cards.
    """
    pages = card_pages()
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.md"):
        if not old.read_text(encoding="utf-8").startswith(_NOTICE):
            raise InputError(f"{old} was not written from cards. Choose another folder.")
        if old.name not in pages:
            old.unlink()
    for name, text in pages.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in pages]


def _family_page(family: str, members: list[Card]) -> str:
    return _page(family.replace("_", " ").capitalize(), map(_card_section, members))


def _page(title: str, sections: Iterable[str]) -> str:
    return "\n\n".join([_NOTICE, f"# {title}", *sections]) + "\n"


def _card_section(card: Card) -> str:
    table = ["| | |", "|---|---|"]
    table += [f"| {heading} | {_cell(text)} |" for heading, text in facts(card).items()]
    parts = [f"## {card.id} {card.arrow}".rstrip(), f"**{card.title}**", card.about.strip(), "\n".join(table)]
    if card.pitfalls:
        parts.append("\n".join(["Pitfalls:", "", *(f"- {pitfall}" for pitfall in card.pitfalls)]))
    return "\n\n".join(parts)


def _protocol_section(protocol: Protocol) -> str:
    roles = [f"- {role}: {kind}" for role, kind in protocol.roles.items()]
    suites = [f"- suite {suite}: {', '.join(map(_link, ids))}" for suite, ids in protocol.suites.items()]
    if protocol.clips:
        suites.append(f"- in addition for frames of clips: {', '.join(map(_link, protocol.clips))}")
    return "\n\n".join(
        [f"## {protocol.id}", f"**{protocol.title}**", protocol.about.strip(), "\n".join(roles + suites)]
    )


def _index(families: dict[str, list[Card]]) -> str:
    lines = ["| metric | | what it is | reads | needs |", "|---|---|---|---|---|"]
    for members in families.values():
        for card in members:
            needs = ", ".join(card.needs) or "–"
            row = (_link(card.id), card.arrow, _cell(card.title), card.reads.backbone, needs)
            lines.append(f"| {' | '.join(row)} |")
    return _page("Metrics", ["[Protocols](protocols.md) group metrics.", "\n".join(lines)])


def _link(metric: str) -> str:
    return f"[{metric}]({card_family(metric)}.md#{metric})"


def _cell(text: str) -> str:
    """Text of a card for a table cell; cards are Markdown, so only the bar is escaped."""
    return text.replace("|", "\\|")


if __name__ == "__main__":
    for page in write_card_pages(Path(sys.argv[1])):
        print(page)
