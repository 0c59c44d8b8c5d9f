"""Comparison of names, which file systems and spreadsheets may encode in different ways."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable

_SPACES = str.maketrans({"\u00a0": " ", "\u2007": " ", "\u202f": " "})
"""No-break spaces, which look like spaces."""

_SYSTEM_NAMES = frozenset(
    {
        "__macosx", "@eadir", "#recycle", "@recycle", "@recently-snapshot", "$recycle.bin",
        "system volume information", "lost+found", "thumbs.db", "desktop.ini", "icon\r",
    }
)  # fmt: skip
"""Files and folders that operating systems, archives and network storage add, in lower case."""


def normal_form(name: str) -> str:
    r"""Return a form that is equal for names that differ only in letter case, Unicode form or spaces.

    Example:
        >>> normal_form("Zoe\u0301\u00a0K ") == normal_form("zo\u00e9 k")
        True
    """
    folded = unicodedata.normalize("NFC", name).translate(_SPACES).casefold()
    return " ".join(unicodedata.normalize("NFC", folded).split())


def same_characters(name: str) -> str:
    """Return a form that is equal for names that differ only in Unicode form, such as NFC and NFD."""
    return unicodedata.normalize("NFC", name)


def twins(names: Iterable[str]) -> list[str] | None:
    """Return the first names that differ but have the same normal form; None if there are none.

    Example:
        >>> twins(["anna", "Bob", "Anna"])
        ['Anna', 'anna']
    """
    spellings: dict[str, set[str]] = {}
    for name in names:
        spellings.setdefault(normal_form(name), set()).add(name)
    return next((sorted(group) for group in spellings.values() if len(group) > 1), None)


def is_system_name(name: str) -> bool:
    """Whether a file or folder is hidden or belongs to the operating system.

    Example:
        >>> is_system_name(".DS_Store"), is_system_name("@eaDir"), is_system_name("a.png")
        (True, True, False)
    """
    return name.startswith(".") or name.lower() in _SYSTEM_NAMES


def printable(name: str) -> str:
    """Return a file name as valid text: bytes that are not UTF-8 become escape sequences."""
    try:
        return os.fsencode(name).decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # half a pair of surrogates, which is in no file name
        return name.encode("utf-8", "backslashreplace").decode("utf-8")
