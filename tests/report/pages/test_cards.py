"""Reference pages of metrics: complete, with valid links."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from facebench.core.errors import InputError
from facebench.evaluation.cards import card_families, load_cards
from facebench.evaluation.protocols import load_protocols
from facebench.report.pages.cards import card_pages, facts, write_card_pages


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return card_pages()


def test_every_card_and_protocol_has_its_section(pages: dict[str, str]) -> None:
    headings = [line for text in pages.values() for line in text.splitlines() if line.startswith("## ")]
    ids = [heading.split()[1] for heading in headings]
    assert sorted(ids) == sorted([*load_cards(), *load_protocols()])


def test_a_section_has_all_fields_of_its_card(pages: dict[str, str]) -> None:
    for family, members in card_families().items():
        text = pages[f"{family}.md"]
        for card in members:
            for said in (card.title, card.about.strip(), *card.pitfalls, *facts(card).values()):
                assert said.replace("|", "\\|") in text or said in text, (card.id, said)


def test_links_point_to_a_heading(pages: dict[str, str]) -> None:
    found = [link for text in pages.values() for link in re.findall(r"\]\((\w+\.md)#(\w+)\)", text)]
    assert len(found) > len(load_cards())
    for page, metric in found:
        assert re.search(rf"^## {metric}( [↑↓])?$", pages[page], re.MULTILINE)


def test_formulas_with_bars_do_not_break_the_table(pages: dict[str, str]) -> None:
    row = next(line for line in pages["fid.md"].splitlines() if line.startswith("| formula"))
    assert len(re.findall(r"(?<!\\)\|", row)) == 3


def test_only_pages_of_removed_families_are_deleted(tmp_path: Path) -> None:
    write_card_pages(tmp_path)
    old = (tmp_path / "fid.md").read_text(encoding="utf-8")
    (tmp_path / "gone.md").write_text(old, encoding="utf-8")
    written = write_card_pages(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted(written)
    (tmp_path / "notes.md").write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match=r"notes\.md was not written from cards"):
        write_card_pages(tmp_path)
    assert (tmp_path / "notes.md").read_text(encoding="utf-8") == "mine"
