"""Texts of the report page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from facebench.core.errors import InputError
from facebench.core.language import languages
from facebench.core.page_texts import page_texts
from facebench.core.suggest import suggest

_FILE = Path(__file__).with_name("report_texts.yaml")


def texts(lang: str) -> dict[str, Any]:
    """Return all texts of a language.

    Raises:
        InputError: the language is unknown.
    """
    if lang not in languages():
        raise InputError(f"Reports are not written in the language '{lang}'. {suggest(lang, languages())}")
    return page_texts(_FILE, lang)
