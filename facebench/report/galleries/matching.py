"""Images of several runs that belong together: of the same name, or edits of one source towards one target."""

from __future__ import annotations

from collections.abc import Mapping

from facebench.report.galleries.pairs import RunImages

_SHARED = 0.5
"""Share of images that two runs have in common when their names match."""
_EDIT_COLUMNS = ("source", "target", "expression", "attribute")


def matching_keys(images: Mapping[int, RunImages]) -> dict[int, dict[str, str]]:
    """Return the image of each run by key; images with one key stand side by side.

    The key is the name where the runs share names. Else it is the source with the target and the expression, where
    each run has one edit of these; else the name.

    Args:
        images: images by index of the run.
    """
    names = {index: list(map(str, own.generated.index)) for index, own in images.items()}
    first = next(iter(names.values()), [])
    shares = [len(set(first) & set(own)) for own in names.values()]
    if min(shares, default=0) >= _SHARED * len(first):
        return {index: {name: name for name in own} for index, own in names.items()}
    edits = {index: _edits(own) for index, own in images.items()}
    if all(len(edits[index]) == len(names[index]) for index in images):
        return edits
    return {index: {name: name for name in own} for index, own in names.items()}


def _edits(own: RunImages) -> dict[str, str]:
    """Image by source, target and expression; empty without sources."""
    columns = [column for column in _EDIT_COLUMNS if column in own.generated]
    if "source" not in columns:
        return {}
    keys = own.generated[columns].astype(str).agg(" → ".join, axis=1)
    return {key: str(image) for image, key in keys.items()}
