"""Texts of pages: English from their file, other languages from the catalogue, with the same keys."""

from __future__ import annotations

from pathlib import Path

from facebench.core.page_texts import page_texts, texts_in_context


def test_texts_have_the_path_of_their_keys_as_context(tmp_path: Path) -> None:
    file = tmp_path / "card_texts.yaml"
    file.write_text("title: Card\nroles: {source: from}\ncolumns: [Low, High]\nwidth: 3\n", encoding="utf-8")
    assert list(texts_in_context(file)) == [
        ("card_texts.title", "Card"),
        ("card_texts.roles.source", "from"),
        ("card_texts.columns.0", "Low"),
        ("card_texts.columns.1", "High"),
    ]
    japanese = page_texts(file, "ja")
    assert japanese["width"] == 3
    assert japanese["title"] == "Card", "the catalogue does not hold it"
    assert (japanese["lang"], page_texts(file, "en")["lang"]) == ("ja", "en")
