from __future__ import annotations

import cv2
import numpy as np
import pytest

from facebench.backbones import Backbone, build
from facebench.core.errors import WeightsError
from tests.helpers.golden_networks import Golden, State, agrees, answers, calmed, stand_in_crops

GOLDEN = Golden("crfiqa")


def quality_agrees(actual: np.ndarray, recorded: np.ndarray) -> None:
    recorded = recorded[: len(actual), 0]
    assert (np.abs(actual - recorded) <= 1e-3 * np.maximum(1, np.abs(recorded))).all()


@pytest.fixture(scope="module")
def state() -> State:
    return GOLDEN.state("parameters iresnet50")


@pytest.fixture(scope="module")
def plain(state: State) -> Backbone:
    return build("crfiqa-s", state)


@pytest.fixture(scope="module")
def calm(state: State) -> Backbone:
    return build("crfiqa-s", calmed(state))


def test_the_small_model_equals_the_authors_code(plain: Backbone, calm: Backbone) -> None:
    for kind, backbone in (("", plain), (".calmed", calm)):
        actual = answers(backbone, stand_in_crops(GOLDEN, 3))
        quality_agrees(actual["quality"], GOLDEN[f"iresnet50.quality{kind}"])
        agrees(actual["features"], GOLDEN[f"iresnet50.features{kind}"], rows=3)


def test_the_large_model_equals_the_authors_code() -> None:
    state = GOLDEN.state("parameters iresnet100")
    for kind, weights in (("", state), (".calmed", calmed(state))):
        actual = answers(build("crfiqa-l", weights), stand_in_crops(GOLDEN, 1))
        quality_agrees(actual["quality"], GOLDEN[f"iresnet100.quality{kind}"])
        agrees(actual["features"], GOLDEN[f"iresnet100.features{kind}"], rows=1)


def test_the_bgr_backbone_gives_other_values(plain: Backbone, state: State) -> None:
    bgr = build("crfiqa-s-bgr", state)
    assert bgr.preprocessing != plain.preprocessing
    actual = answers(bgr, stand_in_crops(GOLDEN, 2))["quality"]
    quality_agrees(actual, GOLDEN["iresnet50.quality_bgr_first_four"])
    recorded = GOLDEN["iresnet50.quality"][:2, 0]
    assert (np.abs(actual - recorded) > 1e-2 * np.abs(recorded)).all()


def test_the_bgr_backbone_equals_the_evaluation_of_id_booth(calm: Backbone, state: State) -> None:
    images = [cv2.resize(image, (112, 112)) for image in GOLDEN.images(2)]
    np.testing.assert_array_equal(images[0][:, :, ::-1], GOLDEN["id_booth_input_first"][0])
    bgr = build("crfiqa-s-bgr", calmed(state))
    quality_agrees(answers(bgr, images)["quality"], GOLDEN["iresnet50.quality_id_booth"])
    quality_agrees(answers(calm, images)["quality"], GOLDEN["iresnet50.quality_id_booth_rgb"])


def test_quality_is_the_unbounded_output_of_the_linear_head(plain: Backbone, state: State) -> None:
    actual = answers(plain, stand_in_crops(GOLDEN, 2))
    head = actual["features"] @ state["qs.weight"].numpy()[0] + state["qs.bias"].item()
    np.testing.assert_allclose(actual["quality"], head, rtol=1e-3)
    assert np.abs(actual["quality"]).max() > 100


def test_an_arcface_checkpoint_without_quality_head_is_refused(
    state: State,
) -> None:
    with pytest.raises(WeightsError, match=r"crfiqa-s: the weights lack 'qs\.weight'"):
        build("crfiqa-s", {key: value for key, value in state.items() if not key.startswith("qs.")})
