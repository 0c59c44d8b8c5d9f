"""Lines of text on the terminal, and errors about missing optional packages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich import console
from rich.text import Text

from facebench.core.language import translate

SHOWN_SKIPPED = 10


class Console(console.Console):
    """Terminal that prints messages in the language of the user."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print objects; texts are translated."""
        super().print(*map(_shown, objects), **options)


def _shown(item: Any) -> Any:
    if isinstance(item, str):
        return translate(item)
    if not isinstance(item, Text):
        return item
    text = translate(item.plain)
    return item if text == item.plain else Text(text, style=item.style)


def print_line(text: str, *, style: str | None = None, stderr: bool = False) -> None:
    """Print one line in the language of the user: no markup, no highlighting, no line breaks inside."""
    Console(stderr=stderr).print(text, style=style, markup=False, highlight=False, soft_wrap=True)


def print_message(text: str) -> None:
    """Print one line to stderr."""
    print_line(text, stderr=True)


def print_skipped(skipped: Sequence[str]) -> None:
    """Print the first skipped files and their reasons to stderr."""
    for reason in skipped[:SHOWN_SKIPPED]:
        print_message(f"skipped {reason}")
    if len(skipped) > SHOWN_SKIPPED:
        print_message(f"... and {len(skipped) - SHOWN_SKIPPED} more")
