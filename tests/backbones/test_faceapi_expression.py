"""FaceExpressionNet gives the recorded answers of the package's own code."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from facebench import backbones
from facebench.backbones.face_detection import FaceFinder, crop
from facebench.backbones.faceapi_expression import EXPRESSIONS, PLACES
from facebench.core.errors import WeightsError
from tests.helpers.golden_networks import Golden, read

GOLDEN = Golden("face_api")
NETWORK = backbones.build("faceapi-expression")


@pytest.fixture(scope="module")
def answers() -> dict[str, np.ndarray]:
    return NETWORK.embed(torch.stack([NETWORK.preprocess(crop) for crop in GOLDEN["crops112"]]))


def test_probabilities_and_logits_equal_the_recorded_ones(answers: dict[str, np.ndarray]) -> None:
    atol = GOLDEN.facts["tolerance"]["probabilities"]["atol"]
    np.testing.assert_allclose(answers["probability"], GOLDEN["probabilities"], rtol=0, atol=atol)
    np.testing.assert_allclose(answers["expression"], GOLDEN["logits"], rtol=0, atol=1e-4)


def test_the_classes_have_the_packages_order() -> None:
    renamed = {"fearful": "afraid"}
    assert tuple(renamed.get(name, name) for name in GOLDEN.facts["classes"]) == EXPRESSIONS


def test_valence_and_arousal_are_the_expected_circumplex_place(answers: dict[str, np.ndarray]) -> None:
    places = GOLDEN["probabilities"].astype(np.float64) @ np.array(PLACES)
    np.testing.assert_allclose(answers["valence"], places[:, 0], atol=1e-5)
    np.testing.assert_allclose(answers["arousal"], places[:, 1], atol=1e-5)
    assert PLACES[EXPRESSIONS.index("neutral")] == (0.0, 0.0)


def test_the_crop_of_an_image_equals_the_recorded_crop() -> None:
    finder = FaceFinder()
    for row, name in enumerate(GOLDEN.facts["images"]["files"]):
        image = read(name)
        np.testing.assert_array_equal(crop("face112", image, finder.find(image)), GOLDEN["crops112"][row])


def test_rows_do_not_depend_on_the_batch(answers: dict[str, np.ndarray]) -> None:
    alone = NETWORK.embed(NETWORK.preprocess(GOLDEN["crops112"][3])[None])
    np.testing.assert_allclose(alone["expression"][0], answers["expression"][3], atol=1e-4)


def test_weights_of_the_recogniser_are_refused() -> None:
    from facebench.core.shipped_data import MODELS

    with pytest.raises(WeightsError, match="faceapi-expression: the weights lack"):
        backbones.build("faceapi-expression", MODELS / "faceapi-recognition.safetensors")
