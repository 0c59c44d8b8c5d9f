"""Translation of finished English messages with the templates of a gettext catalogue.

Functions build messages in English, and run records store them in English. A message is translated where it is shown:
the template it was built from is found in the catalogue, and its values are put into the translated template.
"""

from __future__ import annotations

import gettext
import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from string import Formatter

LOCALES = Path(__file__).parent / "locale"
DOMAIN = "facebench"
_SHORT = 12
"""Templates with fewer letters that begin with a value, such as `{n} images`, match only values without spaces."""
_BREAKS = re.compile(r"((?<=[.!?])\s+|\n+\s*|; |: | · |(?<=^[•†–*✓✗]) )")
"""Ends of the parts of a message that are translated separately when no template matches the message."""
_SYMBOLS = "•†–*✓✗"
"""Signs before a message; they belong to no value."""

WORDS = (
    *("none", "images", "image", "identities", "pairs", "sources", "targets", "people", "faces", "units"),
    *("generated", "reference", "target", "reconstruction", "genuine", "impostor"),
    *("passed", "failed"),
)
"""Single words that are translated as values of `_WORD_VALUES`; other single words are names of the user."""
_WORD_VALUES = frozenset({"unit", "role", "kind", "better", "worse", "outcome"})
_PHRASES = frozenset({"reason", "sentence"})
"""Values that hold colons: they are as long as possible."""
_CONTEXT_END = "\x04"
"""Separates the context of a message from the message in compiled catalogues."""
_SEPARATOR, _JOINT = "; ", "；"
"""Joins messages to a note; in Japanese."""


class _Messages(gettext.GNUTranslations):
    """Compiled catalogue whose messages can be listed."""

    _catalog: dict[str, str]

    def texts(self) -> dict[str, str]:
        """Texts without a context."""
        return {message: text for message, text in self._all() if _CONTEXT_END not in message}

    def texts_in_context(self) -> dict[tuple[str, str], str]:
        """Texts by context and message."""
        parts = ((message.partition(_CONTEXT_END), text) for message, text in self._all())
        return {(context, message): text for (context, end, message), text in parts if end}

    def _all(self) -> Iterator[tuple[str, str]]:
        return (
            (message, text) for message, text in self._catalog.items() if message and isinstance(message, str)
        )


@dataclass(frozen=True)
class _Template:
    """English template with its translation; placeholders are names in braces."""

    message: str
    translation: str

    @cached_property
    def parts(self) -> list[tuple[str, str | None]]:
        """Literal texts, each with the placeholder that follows it."""
        return [(literal, name) for literal, name, _, _ in Formatter().parse(self.message)]

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        is_vague = self.letters < _SHORT and not self.parts[0][0]
        value = r"(\S*?)" if is_vague else r"(.*?)"
        following = [literal for literal, _ in self.parts[1:]]
        pieces = []
        for (literal, name), after in itertools.zip_longest(self.parts, following):
            is_joined = after == ""  # another value follows at once
            shown = r"(\S*)" if is_joined else r"(.*)" if name in _PHRASES else value
            pieces.append(re.escape(literal) + ("" if name is None else shown))
        return re.compile("".join(pieces), re.DOTALL)

    @property
    def ends_openly(self) -> bool:
        """Whether the message ends in a value that is not introduced by a colon: such a value is one phrase."""
        literal, name = self.parts[-1]
        return name is not None and not literal.endswith((": ", "\n"))

    @cached_property
    def letters(self) -> int:
        """Number of letters outside placeholders."""
        return sum(character.isalpha() for literal, _ in self.parts for character in literal)

    @cached_property
    def anchor(self) -> str:
        """Longest literal text; only messages that hold it can match."""
        return max((literal for literal, _ in self.parts), key=len)

    def values(self, text: str) -> dict[str, str] | None:
        """Return the values of the placeholders in a message; None if the message is not of this template."""
        if self.anchor not in text or (text[0] in _SYMBOLS and self.message[0] != text[0]):
            return None
        match = self.pattern.fullmatch(text)
        if match is None:
            return None
        names = [name for _, name in self.parts if name is not None]
        values: dict[str, str] = {}
        for name, value in zip(names, match.groups(), strict=True):
            if values.setdefault(name, value) != value:
                return None
        return values


class Catalogue:
    """Translations of messages by their English templates.

    Args:
        texts: translation by English message; values stand in braces, `{{` is a brace.
        in_context: translation by context and English text, for texts of pages.

    Example:
        >>> texts = {"Unknown {kind} '{name}'. {help}": "{kind}「{name}」はありません。{help}"}
        >>> texts |= {"face detector": "顔検出器", "Did you mean {names}?": "{names} のことですか？"}
        >>> Catalogue(texts).translate("Unknown face detector 'yune'. Did you mean yunet?")
        '顔検出器「yune」はありません。yunet のことですか？'
        >>> Catalogue(texts).translate("Not in the catalogue")
        'Not in the catalogue'
    """

    def __init__(
        self, texts: Mapping[str, str], in_context: Mapping[tuple[str, str], str] | None = None
    ) -> None:
        self._in_context = in_context or {}
        self._literals = {message: text for message, text in texts.items() if "{" not in message}
        self._texts = {message: text for message, text in texts.items() if "{" in message}
        self._known: dict[str, str] = {}

    @cached_property
    def _templates(self) -> list[_Template]:
        """Messages with values, the longest first; those of Typer, whose values have no name, are left out."""
        found = [_Template(message, text) for message, text in self._texts.items()]
        named = [each for each in found if all(name is None or name.isidentifier() for _, name in each.parts)]
        return sorted(named, key=lambda template: -template.letters)

    def translate(self, text: str) -> str:
        """Return the translation of a message; parts that the catalogue lacks stay English."""
        if text not in self._known:
            self._known[text] = self._note(text) or self._whole(text) or self._pieces(text)
        return self._known[text]

    def in_context(self, context: str, text: str) -> str:
        """Return the translation of a text of a page with its placeholders; English where the catalogue lacks it."""
        return self._in_context.get((context, text), text)

    def _whole(self, text: str) -> str | None:
        """Translate a text that is one message; None if it is not in the catalogue."""
        if text in self._literals:
            return self._literals[text]
        if text.endswith(".") and text[:-1] in self._literals:
            return f"{self._literals[text[:-1]]}。"
        for template in self._templates:
            values = template.values(text)
            if values is not None and self._is_phrase(template, values):
                shown = {name: self._value(name, value) for name, value in values.items()}
                return template.translation.format(**shown)
        return None

    def _is_phrase(self, template: _Template, values: Mapping[str, str]) -> bool:
        """Whether a value at the end of a message is one phrase or one message, not the beginning of further ones."""
        last = values.get(template.parts[-1][1] or "", "")
        is_one = not any(mark in last for mark in (": ", _SEPARATOR))
        return is_one or not template.ends_openly or self._whole(last) is not None

    def _value(self, name: str, text: str) -> str:
        """Translate a value of a placeholder; most single words are names of the user."""
        is_word = name in _WORD_VALUES and text in WORDS
        return self.translate(text) if is_word or " " in text.strip() else text

    def _note(self, text: str) -> str | None:
        """Translate messages that are joined by semicolons; None if one of them is not in the catalogue."""
        messages = text.split(_SEPARATOR)
        translated = [self._whole(message) for message in messages] if len(messages) > 1 else [None]
        return None if None in translated else _JOINT.join(filter(None, translated))

    def _pieces(self, text: str) -> str:
        """Translate what is joined by semicolons, or else the sentences of a text."""
        if _SEPARATOR in text:
            return _JOINT.join(map(self.translate, text.split(_SEPARATOR)))
        return self._parts(text)

    def _parts(self, text: str) -> str:
        """Translate the sentences of a text that is not one message."""
        parts = _BREAKS.split(text)
        if len(parts) == 1:
            return text
        # From the whole down: as many leading parts as possible are one message.
        for end in range(len(parts) - 2, 0, -2):
            head = self._whole("".join(parts[:end]))
            if head is not None:
                return head + _space(head, parts[end]) + self.translate("".join(parts[end + 1 :]))
        return parts[0] + parts[1] + self.translate("".join(parts[2:]))


def _space(before: str, separator: str) -> str:
    """Return the separator of two sentences; Japanese sentences follow each other without a space."""
    return "" if separator == " " and before.endswith(("。", "？", "！")) else separator


@cache
def catalogue(language: str) -> Catalogue:
    """Return the catalogue of a language; an empty one for English."""
    file = LOCALES / language / "LC_MESSAGES" / f"{DOMAIN}.mo"
    if not file.is_file():
        return Catalogue({})
    with file.open("rb") as stream:
        messages = _Messages(stream)
    return Catalogue(messages.texts(), messages.texts_in_context())
