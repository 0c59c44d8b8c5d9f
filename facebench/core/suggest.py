"""Help after an unknown name: the closest known names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_LISTED = 20


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
    close = difflib.get_close_matches(name, options, n=3)
    if close:
        return f"Did you mean {' or '.join(close)}?"
    return f"{len(options)} names are known." if len(options) > _LISTED else f"Known: {', '.join(options)}."
