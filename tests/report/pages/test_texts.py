"""Translations of the report page: the same keys and placeholders in every language."""

from __future__ import annotations

import re

import pytest

from facebench.core.language import languages
from facebench.report.pages.texts import texts
from tests.core.test_catalogue import GLOSSARY


@pytest.mark.parametrize("lang", languages())
def test_every_language_has_every_text_with_the_same_placeholders(lang: str) -> None:
    def placeholders(content: object) -> object:
        if isinstance(content, dict):
            return {key: placeholders(value) for key, value in content.items()}
        return sorted(re.findall(r"\{\w+\}", str(content)))

    assert placeholders(texts(lang)) == placeholders(texts("en"))


def test_japanese_texts_use_the_terms_of_the_catalogue() -> None:
    content = str(texts("ja"))
    assert [word for _, words in GLOSSARY.values() for word in words if word in content] == []
