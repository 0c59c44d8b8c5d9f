"""The threshold of a recogniser from pairs of different people."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from facebench import backbones
from facebench.core.errors import InputError
from facebench.evaluation.match_threshold import match_threshold
from facebench.features.extraction import extract
from facebench.images.image_set import ImageSet
from facebench.metrics import pair_scores


def test_at_most_the_stated_share_of_different_people_reaches_it(faces: Path) -> None:
    images, network = ImageSet.open(faces), backbones.build("sface")
    found = match_threshold(images, network)
    extraction = extract(images, [network], store=None)
    people = [item.columns["identity"] for item in extraction.items]
    impostors = pair_scores(extraction.arrays["sface"]["embedding"], people).impostor
    assert (found.pairs, found.people) == (len(impostors), 12)
    assert found.false_match_rate == (impostors >= found.threshold).mean() <= 0.001
    assert (impostors >= found.threshold - 1e-4).mean() > 0.001 - 1 / len(impostors), "it is the lowest"
    assert np.isclose(found.threshold * 1e4, round(found.threshold * 1e4))
    assert f"{found.pairs:,} pairs of 12 people" in found.text


def test_too_few_pairs_or_people_are_refused(faces: Path) -> None:
    images, network = ImageSet.open(faces), backbones.build("sface")
    with pytest.raises(InputError, match="needs 10,000 pairs; give more people"):
        match_threshold(images, network, false_match_rate=1e-4)
    with pytest.raises(InputError, match="needs photographs of several people"):
        match_threshold(ImageSet.open(faces / "images" / "id000"), network)
