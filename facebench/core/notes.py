"""Notes of many metrics, each sentence written once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

SEPARATOR = "; "
"""Joins the sentences of a note."""


def group_sentences(notes: Iterable[tuple[str, str]], *, whole: bool = False) -> dict[str, list[str]]:
    """Group names by the single sentences of their notes.

    Args:
        notes: pairs of a note, whose sentences are joined by semicolons, and the name of a metric.
        whole: keep each note as one sentence.

    Returns:
        Names by sentence, in the order of their first appearance; each name once.

    Example:
        >>> group_sentences([("60 images; 5 identities", "fid"), ("60 images", "kid"), ("", "lpips")])
        {'60 images': ['fid', 'kid'], '5 identities': ['fid']}
    """
    groups: dict[str, dict[str, None]] = {}
    for note, name in notes:
        for sentence in filter(None, [note] if whole else note.split(SEPARATOR)):
            groups.setdefault(sentence, {})[name] = None
    return {sentence: list(names) for sentence, names in groups.items()}


def listed(names: Sequence[str], everything: Sequence[str], limit: int | None = None) -> str:
    """List names with commas; "all metrics" for two or more names that are everything.

    Args:
        names: names of metrics.
        everything: names of all metrics that could be listed.
        limit: largest number of names; None for no limit.

    Example:
        >>> listed(["fid", "kid"], ["fid", "kid"]), listed(["fid"], ["fid", "kid"])
        ('all metrics', 'fid')
        >>> listed(["a", "b", "c"], ["a", "b", "c", "d"], limit=2)
        'a, b and 1 more'
    """
    if len(names) > 1 and set(names) >= set(everything):
        return "all metrics"
    limit = len(names) if limit is None else limit
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
