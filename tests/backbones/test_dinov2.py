from __future__ import annotations

import numpy as np
import pytest
import torch

from facebench.backbones import build
from facebench.core.errors import WeightsError
from tests.helpers.golden_networks import Golden, State, answers, fill, read

GOLDEN = Golden("dinov2_vitl14")
NARROW = {1024: 768, 3072: 2304, 4096: 3072}
# facebookresearch/dinov2 at b8931f7, vit_base(patch_size=14, img_size=518, init_values=1.0, block_chunks=0), filled
# with seed 0: the first six features of a/id000_angry.png and b/id020_happy.png.
VITB14 = [
    [-0.3841436, -1.1047481, 0.07442052, 0.6853039, 1.6569693, 1.184981],
    [-0.74090934, -0.8812333, 0.13069372, 1.2195774, 1.3425332, 0.41154853],
]


def base_shapes() -> dict[str, tuple[int, ...]]:
    """Parameter shapes of ViT-B/14: 12 blocks and narrower matrices than ViT-L/14."""
    shapes = {name: tuple(shape) for name, shape in GOLDEN.facts["parameters"]}
    return {
        name: tuple(NARROW.get(side, side) for side in shape)
        for name, shape in shapes.items()
        if not name.startswith("blocks.") or int(name.split(".")[1]) < 12
    }


@pytest.fixture(scope="module")
def base() -> State:
    return fill(base_shapes(), 0)


def test_the_large_model_equals_the_official_code() -> None:
    backbone = build("dinov2-vitl14", GOLDEN.state())
    batch = torch.stack([backbone.preprocess(image) for image in GOLDEN.images(2)])
    np.testing.assert_allclose(batch[:1, :, ::8, ::8], GOLDEN["input.first"], rtol=0, atol=1e-4)
    actual, recorded = backbone.embed(batch)["features"], GOLDEN["features"][:2]
    np.testing.assert_allclose(actual, recorded, rtol=0, atol=1e-3)
    lengths = np.linalg.norm(actual, axis=1) * np.linalg.norm(recorded, axis=1)
    assert ((actual * recorded).sum(axis=1) / lengths > 0.99999).all()


def test_the_base_model_equals_the_official_code(base: State) -> None:
    images = [read("a/id000_angry.png"), read("b/id020_happy.png")]
    actual = answers(build("dinov2-vitb14", base), images)["features"]
    assert actual.shape == (2, 768)
    np.testing.assert_allclose(actual[:, :6], VITB14, rtol=0, atol=1e-3)


def test_an_oblong_image_is_resized_not_cropped(base: State) -> None:
    backbone = build("dinov2-vitb14", base)
    image = np.zeros((100, 300, 3), np.uint8)
    image[:, :30] = 255
    seen = backbone.preprocess(image)
    assert seen.shape == (3, 224, 224)
    assert seen[0, 0, 0] > seen[0, 0, 100]


def test_weights_of_another_network_are_refused_with_the_first_wrong_key(base: State) -> None:
    with pytest.raises(WeightsError, match="lack 'mask_token'"):
        build("dinov2-vitb14", {name: value for name, value in base.items() if name != "mask_token"})
    with pytest.raises(WeightsError, match="contain 'register_tokens'"):
        build("dinov2-vitb14", base | {"register_tokens": torch.zeros(1, 4, 768)})
    with pytest.raises(WeightsError, match=r"'pos_embed' has shape \(1, 257, 768\).*\(1, 1370, 768\)"):
        build("dinov2-vitb14", base | {"pos_embed": torch.zeros(1, 257, 768)})
