"""The cosine from which two faces count as one person, from pairs of different people in real photographs."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from facebench.backbones.base import Backbone
from facebench.core.errors import InputError
from facebench.core.progress import Progress, no_progress
from facebench.features.extraction import extract
from facebench.features.store.sqlite import Store
from facebench.images.image_set import ImageSet
from facebench.images.names import normal_form
from facebench.metrics import pair_scores

FALSE_MATCH_RATE = 0.001
MAX_IMAGES = 5000
"""Photographs that are compared, evenly spaced over the set; 12.5 million pairs."""
_DECIMALS = 4


@dataclass(frozen=True)
class MatchThreshold:
    """Threshold of a recogniser, with the pairs that it comes from.

    Attributes:
        threshold: cosine, rounded up to four decimals.
        false_match_rate: share of the pairs of different people at or above the threshold.
        pairs: number of pairs of different people.
        people: number of people.
    """

    threshold: float
    false_match_rate: float
    pairs: int
    people: int

    @property
    def text(self) -> str:
        """False match rate and its pairs, for metric cards."""
        return f"{self.false_match_rate:.2%} false matches among {self.pairs:,} pairs of {self.people} people"


def match_threshold(
    images: ImageSet,
    network: Backbone,
    *,
    false_match_rate: float = FALSE_MATCH_RATE,
    progress: Progress = no_progress,
) -> MatchThreshold:
    """Return the lowest cosine, to four decimals, that at most a share of the pairs of different people reach.

    Args:
        images: real photographs with identities.
        network: a network with the array `embedding`.
        false_match_rate: largest share of pairs of different people that are accepted.
        progress: called with "impostors", the number of finished photographs, and the total.

    Raises:
        InputError: too few pairs of different people for this rate.

    Source:
        False match rate, ISO/IEC 19795-1:2021.
    """
    extraction = extract(_spread(images), [network], store=Store(), progress=progress, stage="impostors")
    names = [item.columns.get("identity") for item in extraction.items]
    used = extraction.valid[network.name] & np.array([bool(name) for name in names])
    people = [normal_form(name) for name, is_used in zip(names, used, strict=True) if is_used and name]
    needed = math.ceil(1 / false_match_rate)
    if len(set(people)) < 2:
        raise InputError(
            f"{images.root} has {len(set(people))} identities with a detected face. A threshold needs photographs of "
            "several people: one folder for each person, or a manifest with the column 'identity'."
        )
    impostors = np.sort(pair_scores(extraction.arrays[network.name]["embedding"][used], people).impostor)
    if len(impostors) < needed:
        raise InputError(
            f"{images.root} has {len(impostors):,} pairs of different people. A false match rate of "
            f"{false_match_rate:.1%} needs {needed:,} pairs; give more people."
        )
    accepted = math.floor(false_match_rate * len(impostors))
    highest_rejected = float(impostors[-accepted - 1])
    threshold = (math.floor(highest_rejected * 10**_DECIMALS) + 1) / 10**_DECIMALS
    if threshold >= 1:
        raise InputError(
            f"{network.name} gives {accepted + 1:,} pairs of different people a cosine above "
            f"{1 - 10**-_DECIMALS:g}, so no threshold separates them. Check its crop, size and normalisation."
        )
    rate = float((impostors >= threshold).mean())
    return MatchThreshold(threshold, rate, len(impostors), len(set(people)))


def _spread(images: ImageSet) -> ImageSet:
    """Return at most `MAX_IMAGES` images, evenly spaced."""
    if len(images) <= MAX_IMAGES:
        return images
    places = np.linspace(0, len(images) - 1, MAX_IMAGES).round().astype(int)
    return replace(images, items=tuple(images.items[place] for place in places))
