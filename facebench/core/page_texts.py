"""Texts of a page by key: English in a YAML file beside the code, translations in the catalogue.

The name of the file and the keys are the context of a text in the catalogue: one English word may have several
translations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from facebench.core.catalogue import catalogue
from facebench.core.language import ENGLISH


@cache
def page_texts(file: Path, lang: str) -> dict[str, Any]:
    """Return all texts of a page in a language; `lang` is the language itself.

    Args:
        file: YAML file of the English texts.
        lang: the language.
    """
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    if lang != ENGLISH:
        content = _replaced(content, file.stem, catalogue(lang).in_context)
    return {"lang": lang, **content}


def texts_in_context(file: Path) -> Iterator[tuple[str, str]]:
    """Return the context and the English text of every entry of a file."""
    found: list[tuple[str, str]] = []

    def collect(context: str, text: str) -> str:
        found.append((context, text))
        return text

    _replaced(yaml.safe_load(file.read_text(encoding="utf-8")), file.stem, collect)
    yield from found


def _replaced(content: Any, context: str, replace: Callable[[str, str], str]) -> Any:
    """Return nested texts, each replaced by a function of its context and itself."""
    if isinstance(content, dict):
        return {key: _replaced(each, f"{context}.{key}", replace) for key, each in content.items()}
    if isinstance(content, list):
        return [_replaced(each, f"{context}.{place}", replace) for place, each in enumerate(content)]
    return replace(context, content) if isinstance(content, str) else content
