"""Path patterns: text with fields in braces, which matches paths and composes paths.

    target_{target_person}_{target}/{person}/{image}

A field matches one or more characters of one part of a path. The last field of a part takes the fewest characters, so
that `{person}_{number}` splits "ann_lee_07" into "ann_lee" and "07". `{number:[0-9]+}` restricts a field by a regular
expression. A field that occurs twice has the same text at both places.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from facebench.core.errors import InputError
from facebench.core.suggest import suggest

_FIELD = re.compile(r"\{([^{}:]*)(?::((?:[^{}]|\{[0-9,]*\})*))?\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Token(NamedTuple):
    """Literal text of a pattern, or a field."""

    text: str
    """The literal text, or the pattern of the field as written."""
    field: str | None = None
    expression: str = ""
    """Regular expression of the field; empty for the default."""


class Departure(NamedTuple):
    """Place at which a path stops to match a pattern."""

    path: str
    part: int
    """Number of the part, counted from 1."""
    found: str
    """The part of the path; empty where the path has no such part."""
    matched: str
    """Beginning of the part that matches; a field at its end is in braces."""
    expected: str
    """Text or field of the pattern that comes next; empty where the pattern ends."""

    @property
    def reason(self) -> str:
        """Why the path does not match, for messages."""
        if not self.found:
            return f"ends before part {self.part}, where '{self.expected}' is expected"
        if not self.expected:
            return f"continues at part {self.part} with '{self.found}', where the pattern ends"
        after = f"after '{self.matched}'" if self.matched else "at its beginning"
        return f"departs at part {self.part}, '{self.found}': '{self.expected}' is expected {after}"


@dataclass(frozen=True)
class PathPattern:
    """A pattern of paths with forward slashes.

    Example:
        >>> pattern = PathPattern("target_{target_person}_{target}/{person}/{image}")
        >>> pattern.match("target_obama_01/ann/3.png")
        {'target_person': 'obama', 'target': '01', 'person': 'ann', 'image': '3.png'}
        >>> pattern.fill({"target_person": "obama", "target": "01", "person": "ann", "image": "3.png"})
        'target_obama_01/ann/3.png'

    Raises:
        InputError: a brace without its partner, a field without a valid name, or an expression that is not valid.
    """

    text: str

    def __post_init__(self) -> None:
        for token in (token for part in self.parts for token in part if token.field is None):
            if "{" in token.text or "}" in token.text:
                raise InputError(
                    f"The pattern '{self.text}' has a brace without its partner near '{token.text}'."
                )
        for token in (token for part in self.parts for token in part):
            if token.field is not None and not _NAME.fullmatch(token.field):
                raise InputError(
                    f"The pattern '{self.text}': '{token.text}' does not name a field. Use letters, digits and '_', "
                    "such as {person}."
                )
        try:
            _ = self._compiled
        except re.error as error:
            raise InputError(
                f"The pattern '{self.text}' holds an expression that is not valid ({error})."
            ) from None

    @cached_property
    def parts(self) -> tuple[tuple[Token, ...], ...]:
        """Tokens of each part."""
        tokens = _tokens(self.text)
        parts: list[list[Token]] = [[]]
        for token in tokens:
            if token.field is not None:
                parts[-1].append(token)
                continue
            first, *rest = token.text.split("/")
            for number, text in enumerate([first, *rest]):
                if number:
                    parts.append([])
                if text:
                    parts[-1].append(Token(text))
        return tuple(tuple(part) for part in parts if part)

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the fields, in order."""
        return tuple(dict.fromkeys(token.field for part in self.parts for token in part if token.field))

    def match(self, path: str) -> dict[str, str] | None:
        """Return the text of each field, or None if the path does not match as a whole."""
        match = self._compiled.fullmatch(path)
        return None if match is None else match.groupdict()

    def is_ambiguous(self, path: str) -> bool:
        """Whether the fields of a matching path could also be split in another way."""
        match = self._lazy.fullmatch(path)
        return match is not None and match.groupdict() != self.match(path)

    def fill(self, values: Mapping[str, str]) -> str:
        """Compose a path from the text of each field.

        Raises:
            InputError: a field has no value.
        """
        filled = []
        for part in self.parts:
            for token in part:
                if token.field is not None and token.field not in values:
                    raise InputError(
                        f"'{self.text}' uses the field '{token.field}', which has no value. "
                        f"{suggest(token.field, values)}"
                    )
            filled.append(
                "".join(token.text if token.field is None else values[token.field] for token in part)
            )
        return ("/" if self.text.startswith("/") else "") + "/".join(filled)

    def departure(self, path: str) -> Departure:
        """Return where a path that does not match departs from the pattern."""
        found = path.split("/")
        for number, part in enumerate(self.parts):
            if number >= len(found):
                return Departure(path, number + 1, "", "", _text(part))
            if not re.fullmatch(_expression(part, set()), found[number]):
                matched, expected = _longest_beginning(part, found[number])
                return Departure(path, number + 1, found[number], matched, expected)
        if len(found) > len(self.parts):
            return Departure(path, len(self.parts) + 1, found[len(self.parts)], "", "")
        # Every part matches, so a field that occurs in two parts differs between them.
        return Departure(path, len(self.parts), found[-1], "", _text(self.parts[-1]))

    def nearest(self, paths: Iterable[str]) -> Departure | None:
        """Return the departure of the path that matches the pattern the longest; None without paths."""
        departures = (self.departure(path) for path in paths)
        return max(departures, key=lambda each: (each.part, len(each.matched)), default=None)

    @cached_property
    def _compiled(self) -> re.Pattern[str]:
        seen: set[str] = set()
        return re.compile("/".join(_expression(part, seen) for part in self.parts))

    @cached_property
    def _lazy(self) -> re.Pattern[str]:
        seen: set[str] = set()
        return re.compile("/".join(_expression(part, seen, lazy=True) for part in self.parts))


def _tokens(text: str) -> list[Token]:
    tokens: list[Token] = []
    end = 0
    for match in _FIELD.finditer(text):
        if match.start() > end:
            tokens.append(Token(text[end : match.start()]))
        tokens.append(Token(match[0], match[1], match[2] or ""))
        end = match.end()
    return [*tokens, Token(text[end:])] if end < len(text) else tokens


def _expression(part: Iterable[Token], seen: set[str], *, lazy: bool = False) -> str:
    """Regular expression of one part; `seen` holds the fields of earlier parts, which are repeated."""
    expressions = []
    for token in part:
        if token.field is None:
            expressions.append(re.escape(token.text))
        elif token.field in seen:
            expressions.append(f"(?P={token.field})")
        else:
            seen.add(token.field)
            expressions.append(f"(?P<{token.field}>{token.expression or ('[^/]+?' if lazy else '[^/]+')})")
    return "".join(expressions)


def _longest_beginning(part: tuple[Token, ...], found: str) -> tuple[str, str]:
    """Return what the first tokens match, with a last field as written, and the token that comes next."""
    for count in range(len(part), 0, -1):
        match = re.match(_expression(part[:count], set(), lazy=True), found)
        if match is not None:
            rest, last = part[count:], part[count - 1]
            matched = match[0] if last.field is None else match[0][: match.start(last.field)] + last.text
            return matched, _text(rest[:1]) if rest else "end of the name"
    return "", _text(part[:1])


def _text(part: Iterable[Token]) -> str:
    return "".join(token.text for token in part)
