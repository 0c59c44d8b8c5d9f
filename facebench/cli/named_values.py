"""Values of options that are written NAME=VALUE."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from facebench.core.errors import InputError


def parse_references(options: Sequence[str] | None) -> str | dict[str, str] | None:
    """Parse `--reference` options: one folder, or several folders as NAME=FOLDER.

    A path may contain "=": the text before it is a name only without a path separator, and only if the whole text is
    not an existing path.

    Raises:
        InputError: several folders without names, or a name twice.

    Example:
        >>> parse_references(["TFD=photographs", "FFHQ=ffhq"])
        {'TFD': 'photographs', 'FFHQ': 'ffhq'}
        >>> parse_references(["runs/cfg=7.5"])
        'runs/cfg=7.5'
    """
    if not options:
        return None
    named = [option.partition("=") for option in options if _has_name(option)]
    if not named and len(options) == 1:
        return options[0]
    names = [name for name, _, _ in named]
    if len(named) < len(options) or len(set(names)) < len(names):
        raise InputError(
            "Several reference sets need a name each: --reference TFD=photographs --reference FFHQ=ffhq"
        )
    return {name: path for name, _, path in named}


def _has_name(option: str) -> bool:
    name, equals, _ = option.partition("=")
    if not equals or "/" in name or "\\" in name:
        return False
    try:
        return not Path(option).exists()
    except (OSError, ValueError):  # too long, or a null character
        return True


def parse_tags(options: Sequence[str] | None) -> dict[str, str]:
    """Parse `--tag NAME=VALUE` options.

    Raises:
        InputError: an option without a name or a value, or a name twice.

    Example:
        >>> parse_tags(["base=SD-2.1", "prompt=Complex"])
        {'base': 'SD-2.1', 'prompt': 'Complex'}
    """
    tags: dict[str, str] = {}
    for option in options or []:
        name, _, value = option.partition("=")
        if not name or not value or name in tags:
            problem = "is given twice" if name in tags else "is not NAME=VALUE"
            raise InputError(
                f"The tag '{option}' {problem}. Write for example: --tag base=SD-2.1 --tag prompt=Complex"
            )
        tags[name] = value
    return tags
