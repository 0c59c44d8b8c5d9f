"""Strict reading of JSON that other programs or a full disk may have damaged."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any, NoReturn

from facebench.core.errors import InputError

MAX_BYTES = 256 * 2**20
"""Largest JSON file that is read."""
_MAX_DIGITS = 20
"""Digits of the largest integer: 2**64 - 1 has 20."""
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")


def parse_json(text: str) -> Any:
    """Parse JSON; values that Python accepts and that are not JSON are errors.

    Raises:
        ValueError: not JSON, nested too deeply, NaN, infinity or a number beyond the range of a float, an integer of
            more than 20 digits, or text with a lone surrogate. The message is one line.

    Example:
        >>> parse_json('{"value": 1.5}')
        {'value': 1.5}
        >>> parse_json('{"value": NaN}')
        Traceback (most recent call last):
        ValueError: NaN is not a JSON number
    """
    try:
        content = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite, parse_int=_integer)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if _SURROGATE_ESCAPE.search(text):
        _refuse_surrogates(content)
    return content


def read_json(path: Path) -> Any:
    """Read a JSON file as `parse_json` does.

    Raises:
        InputError: the file cannot be read, is larger than 256 MiB, is not UTF-8, or is not JSON; names the file.
    """
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise InputError(
                f"{path} has {size:,} bytes; JSON files of at most {MAX_BYTES:,} bytes are read. "
                "Check that it is the right file."
            )
        return parse_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error
    except ValueError as error:
        raise InputError(
            f"{path} is not readable JSON: {error}. Restore the file or write it again."
        ) from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text[:40]} is out of range")
    return value


def _integer(text: str) -> int:
    if len(text.lstrip("-")) > _MAX_DIGITS:
        raise ValueError(f"the number {text[:_MAX_DIGITS]}… has more than {_MAX_DIGITS} digits")
    return int(text)


def _refuse_surrogates(content: Any) -> None:
    pending = [content]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            pending += [*value.keys(), *value.values()]
        elif isinstance(value, list):
            pending += value
        elif isinstance(value, str) and not _is_unicode(value):
            raise ValueError(f"the text {ascii(value)[:60]} holds a lone surrogate")


def _is_unicode(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
