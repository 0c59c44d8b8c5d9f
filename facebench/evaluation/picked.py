"""The mark of picked images: the best of several by a metric, which are not comparable with unpicked ones."""

from __future__ import annotations

from facebench.core.errors import InputError
from facebench.images.image_set import ImageSet

PICKED = "picked"
"""Column of the manifest, and tag of the record."""


def picked_tag(images: ImageSet) -> dict[str, str]:
    """Return the tag of a run over picked images; empty for other images.

    Raises:
        InputError: only some of the images are picked, or they were picked in different ways.
    """
    if PICKED not in images.columns:
        return {}
    ways = set(images.column(PICKED))
    if len(ways) > 1 or None in ways:
        raise InputError(
            f"{images.root}: the column '{PICKED}' must hold one text for all images. "
            "Evaluate picked and other images apart."
        )
    return {PICKED: str(ways.pop())}
