"""Language of everything that a person reads: `--lang`, `FACEBENCH_LANG`, or the locale."""

from __future__ import annotations

import gettext
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from facebench.core.catalogue import DOMAIN, LOCALES, catalogue
from facebench.core.errors import InputError
from facebench.core.suggest import suggest

ENGLISH = "en"
VARIABLE = "FACEBENCH_LANG"
_LOCALE_VARIABLES = ("LC_ALL", "LC_MESSAGES", "LANG")
_chosen: ContextVar[str | None] = ContextVar("language", default=None)


def languages() -> list[str]:
    """Return the languages that facebench writes.

    Example:
        >>> languages()
        ['en', 'ja']
    """
    return sorted([ENGLISH, *(folder.name for folder in LOCALES.iterdir() if folder.is_dir())])


def check_language(name: str) -> str:
    """Return the name of a language.

    Raises:
        InputError: facebench does not write this language.
    """
    if name not in languages():
        raise InputError(f"facebench does not write the language '{name}'. {suggest(name, languages())}")
    return name


def language() -> str:
    """Return the language of this context: the chosen one, that of `FACEBENCH_LANG`, or that of the locale.

    Raises:
        InputError: `FACEBENCH_LANG` names an unknown language.
    """
    chosen = _chosen.get() or os.environ.get(VARIABLE)
    if chosen:
        return check_language(chosen)
    locale = next(filter(None, map(os.environ.get, _LOCALE_VARIABLES)), ENGLISH)
    name = locale.split("_")[0].split(".")[0]
    return name if name in languages() else ENGLISH


@contextmanager
def use_language(name: str | None) -> Iterator[None]:
    """Write a language within a block; None leaves the language as it is.

    Raises:
        InputError: facebench does not write this language.

    Example:
        >>> with use_language("ja"):
        ...     language()
        'ja'
    """
    token = _chosen.set(_chosen.get() if name is None else check_language(name))
    try:
        yield
    finally:
        _chosen.reset(token)


def translate(text: str) -> str:
    """Return a finished English message in the language of this context; English where the catalogue lacks it.

    Example:
        >>> with use_language("ja"):
        ...     translate("95 % interval")
        '95 % 信頼区間'
    """
    current = language()
    return text if current == ENGLISH else catalogue(current).translate(text)


def bind_gettext() -> None:
    """Let libraries that use gettext, such as Typer, write the language of this context from the same catalogue."""
    current = language()
    if current == ENGLISH:
        gettext.textdomain("messages")
    else:
        os.environ["LANGUAGE"] = current
        gettext.bindtextdomain(DOMAIN, str(LOCALES))
        gettext.textdomain(DOMAIN)


def message(text: str) -> str:
    """Mark a single word as a message of the catalogue; sentences and headings are found without a mark."""
    return text
