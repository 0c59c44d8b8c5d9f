"""The `loss` section: numbers, forms of the triplet loss, and keys of older versions."""

from __future__ import annotations

import pytest

from facebench.core.errors import InputError
from facebench.training import presets
from facebench.training.engine.settings import as_current, check
from facebench.training.losses.loss_weights import LossWeights


def test_a_number_is_the_weight_of_the_default_form() -> None:
    weights = LossWeights.model_validate({"triplet": 0.1, "shape": 0.5})
    assert weights.triplet.model_dump() == {"weight": 0.1, "positive": "other", "negative": "other"}
    assert weights.shape.model_dump() == {"weight": 0.5, "reader": "facereader"}
    assert as_current(LossWeights, {"shape": 0.5})["shape"] == weights.shape.model_dump()


def test_overrides_change_one_key_of_a_form(tmp_path) -> None:
    file = tmp_path / "train.yaml"
    file.write_text("preset: diffae-64-personal\nloss: {triplet: 0.1, shape: {weight: 0.5, reader: deca}}\n")
    merged = presets.read(file, ["loss.triplet.positive=self", "loss.shape=0.2"])["loss"]
    assert merged["triplet"] == {"weight": 0.1, "positive": "self"}
    assert merged["shape"]["reader"] == "deca"
    assert merged["shape"]["weight"] == 0.2


def test_terms_say_what_they_need() -> None:
    slides = {"weight": 0.1, "positive": "self", "negative": "prior"}
    weights = LossWeights.model_validate({"triplet": slides})
    assert weights.needs_recogniser
    assert weights.needs_prior_negatives
    assert not weights.needs_partners
    assert not weights.needs_other_people
    assert not LossWeights.model_validate({"triplet": {**slides, "weight": 0}}).needs_faces


def test_a_form_without_weight_is_refused() -> None:
    for name, form in (("shape", {"reader": "deca"}), ("triplet", {"positive": "self"})):
        with pytest.raises(InputError, match=rf"the key '{name}\.weight' is missing"):
            check(LossWeights, {name: form}, "train.yaml")
