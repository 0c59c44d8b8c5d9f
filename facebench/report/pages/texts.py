"""Translations of the report page, one file per language."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml

from facebench.core.errors import InputError
from facebench.core.suggest import suggest

_FOLDER = Path(__file__).parent / "languages"


def languages() -> list[str]:
    """Return the languages of the report page.

    Example:
        >>> languages()
        ['en', 'ja']
    """
    return sorted(file.stem for file in _FOLDER.glob("*.yaml"))


@cache
def texts(lang: str) -> dict[str, Any]:
    """Return all texts of a language.

    Raises:
        InputError: the language is unknown.
    """
    if lang not in languages():
        raise InputError(f"Reports are not written in the language '{lang}'. {suggest(lang, languages())}")
    content: dict[str, Any] = yaml.safe_load((_FOLDER / f"{lang}.yaml").read_text(encoding="utf-8"))
    return content
