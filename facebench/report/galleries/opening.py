"""Opening of a page: random images of the generated sets beside the reference, before any number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from facebench.evaluation.record import Run
from facebench.report.galleries.images import Thumbnail
from facebench.report.galleries.matching import matching_keys
from facebench.report.galleries.pairs import LINKED_ROLES, RunImages

SHOWN = 12
"""Number of images of each strip."""


@dataclass(frozen=True)
class Strip:
    """A row of images.

    Attributes:
        role: role of the images, such as generated or reference:FFHQ.
        run: index of the run; None for images that all runs share.
        images: thumbnails.
    """

    role: str
    run: int | None
    images: list[Thumbnail]


def opening_strips(runs: Sequence[Run]) -> list[Strip]:
    """Return rows of random images, drawn with the seed of the first run; empty where no image is at hand.

    Edits are shown in columns: source, reconstruction, the edit of every run, target. Other runs have a row each, with
    the same images where the runs have them, and a row for every reference set.
    """
    available = [
        (index, run)
        for index, run in enumerate(runs)
        if run.per_image is not None and "sha256" in run.per_image
    ]
    if not available:
        return []
    images = {index: RunImages(run, _table(run)) for index, run in available}
    names = _sampled_names(images, available[0][1].seed)
    if any(role in available[0][1].inputs for role in LINKED_ROLES):
        strips = _edit_strips(images, names)
    else:
        strips = [
            Strip("generated", index, [own.thumbnail("generated", name) for name in names[index]])
            for index, own in images.items()
        ]
        strips += _reference_strips(images)
    return [strip for strip in strips if any(image.uri for image in strip.images)]


def _sampled_names(images: dict[int, RunImages], seed: int) -> dict[int, list[str]]:
    """Names of random images by run: of the same ones in all runs, where enough of them belong together."""
    keys = matching_keys(images)
    shared = set.intersection(*(set(own) for own in keys.values()))
    if len(shared) >= min(SHOWN, *(len(own) for own in keys.values())):
        drawn = _sample(sorted(shared), seed)
        return {index: [own[key] for key in drawn] for index, own in keys.items()}
    return {index: _sample(sorted(own.values()), seed) for index, own in keys.items()}


def _edit_strips(images: dict[int, RunImages], names: dict[int, list[str]]) -> list[Strip]:
    first = next(iter(images))
    shared: dict[str, list[Thumbnail]] = {}
    for name in names[first]:
        for role, linked in images[first].related(name):
            if role != "generated":
                shared.setdefault(role, []).append(images[first].thumbnail(role, linked))
    strips = {role: Strip(role, None, thumbnails) for role, thumbnails in shared.items()}
    made = [
        Strip("generated", index, [own.thumbnail("generated", name) for name in names[index]])
        for index, own in images.items()
    ]
    before = [strips[role] for role in ("source", "reconstruction") if role in strips]
    return [*before, *made, *([strips["target"]] if "target" in strips else [])]


def _reference_strips(images: dict[int, RunImages]) -> list[Strip]:
    strips: dict[str, Strip] = {}
    for own in images.values():
        for role in own.run.inputs:
            if role.partition(":")[0] == "reference" and role not in strips:
                names = _sample(_names(own.run, role), own.run.seed)
                strips[role] = Strip(role, None, [own.thumbnail(role, name) for name in names])
    return list(strips.values())


def _table(run: Run) -> pd.DataFrame:
    assert run.per_image is not None
    return run.per_image


def _names(run: Run, role: str) -> list[str]:
    table = _table(run)
    return [str(name) for name in table.loc[table["role"] == role, "image"]]


def _sample(names: Sequence[str], seed: int) -> list[str]:
    """Draw random names, or keep all if they are few; sorted."""
    if len(names) <= SHOWN:
        return sorted(names)
    return sorted(np.random.default_rng(seed).choice(sorted(names), SHOWN, replace=False).tolist())
