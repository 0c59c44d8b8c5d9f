"""Help after an unknown name: the closest known names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_LISTED = 20
_MAX_SUGGESTIONS = 3


def close_names(name: str, known: Iterable[str]) -> list[str]:
    """Return the known names that resemble a name, the closest first, then names that begin with it.

    Example:
        >>> close_names("imgae", ["image", "identity"])
        ['image']
        >>> close_names("fid", ["fid_clean", "kid_clean"])
        ['fid_clean']
    """
    options = sorted(known)
    close = difflib.get_close_matches(name, options, n=_MAX_SUGGESTIONS)
    longer = [option for option in options if option.startswith(f"{name}_") and option not in close]
    return [*close, *longer][:_MAX_SUGGESTIONS]


def suggest(name: str, known: Iterable[str]) -> str:
    """Return a sentence that names close matches, or all known names when they are few.

    Args:
        name: the unknown name.
        known: the names that exist.

    Example:
        >>> suggest("fid_claen", ["fid_clean", "kid"])
        'Did you mean fid_clean?'
        >>> suggest("x", ["fid_clean", "kid"])
        'Known: fid_clean, kid.'
    """
    options = sorted(known)
    close = close_names(name, options)
    if close:
        return f"Did you mean {' or '.join(close)}?"
    if len(options) > _LISTED or not options:
        return f"{len(options)} names are known."
    return f"Known: {', '.join(options)}."
