from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from golden_networks import Golden, agrees, answers, scaled

from facebench.backbones import build
from facebench.backbones.emonet import EmoNet
from facebench.errors import WeightsError

GOLDEN = Golden("emonet")
ROWS = {"8": 2, "5": 1}


def calm(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return scaled(state, 0.4, lambda _, value: value.ndim == 4)


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    return GOLDEN.state("parameters 8")


@pytest.mark.parametrize("classes", ["8", "5"])
def test_affect_and_heat_maps_equal_the_authors_code(classes: str) -> None:
    plain = GOLDEN.state(f"parameters {classes}")
    for kind, weights in ((classes, plain), (f"{classes}.calmed", calm(plain))):
        backbone = build(f"emonet-{classes}", weights)
        assert isinstance(backbone, EmoNet)
        rows = ROWS[classes]
        batch = torch.stack([backbone.preprocess(image) for image in GOLDEN.images(rows)])
        found = backbone.embed(batch)
        for name in ("expression", "valence", "arousal"):
            agrees(found[name], GOLDEN[f"{kind}.{name}"], rows=rows)
        maps = backbone.heatmaps(batch[:1])
        assert maps.shape == (1, 68, 64, 64)
        agrees(maps[:, ::4, ::4, ::4], GOLDEN[f"{kind}.heatmap_first"])
        if kind == classes:
            agrees(maps.mean((2, 3)), GOLDEN[f"{kind}.heatmap_mean"], rows=1)
            agrees(maps.std((2, 3)), GOLDEN[f"{kind}.heatmap_std"], rows=1)


def test_the_input_is_rgb_in_zero_to_one_resized_without_antialias(state: dict[str, torch.Tensor]) -> None:
    backbone = build("emonet-8", state)
    x = backbone.preprocess(GOLDEN.images(1)[0])
    assert x.shape == (3, 256, 256)
    np.testing.assert_allclose(x[:, ::8, ::8], GOLDEN["input.first"][0], atol=1e-6)
    # A stripe of one pixel in eight is lost between the samples; antialiasing would keep an eighth of it.
    stripes = np.zeros((2048, 2048, 3), np.uint8)
    stripes[:, ::8] = 255
    assert backbone.preprocess(stripes).max() == 0


def test_the_published_scores_average_the_mirror_image_and_clip(state: dict[str, torch.Tensor]) -> None:
    weights = calm(state)
    once, published = build("emonet-8", weights), build("emonet-8-flip", weights)
    assert once.preprocessing != published.preprocessing
    batch = torch.stack([once.preprocess(image) for image in GOLDEN.images(1)])
    plain, mirrored, found = once.embed(batch), once.embed(batch.flip(-1)), published.embed(batch)
    assert np.abs(plain["valence"]).max() > 1, "raw answers are not bounded"
    for name in ("valence", "arousal"):
        expected = np.clip((plain[name] + mirrored[name]) / 2, -1, 1)
        np.testing.assert_allclose(found[name], expected, rtol=1e-5)
    np.testing.assert_array_equal(found["expression"], plain["expression"])


def test_the_network_is_in_eval_mode_and_its_fifth_class_of_five_is_anger(
    state: dict[str, torch.Tensor],
) -> None:
    eight = build("emonet-8", state)
    assert isinstance(eight, EmoNet)
    assert eight.network is not None
    assert not any(module.training for module in eight.network.modules())
    assert eight.expressions[4] == "fear"
    five = build("emonet-5-flip", GOLDEN.state("parameters 5"))
    assert isinstance(five, EmoNet)
    assert five.expressions[4] == "anger"
    assert len(five.expressions) == 5


def test_an_official_file_may_have_a_prefix_and_lack_batch_counters_but_nothing_else(
    tmp_path: Path, state: dict[str, torch.Tensor]
) -> None:
    old = {f"module.{k}": v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    torch.save(old, tmp_path / "emonet_8.pth")
    backbone = build("emonet-8", tmp_path / "emonet_8.pth")
    agrees(answers(backbone, GOLDEN.images(1))["expression"], GOLDEN["8.expression"], rows=1)
    del old["module.m1.b3_2.conv2.weight"]
    with pytest.raises(WeightsError, match=r"lack 'm1\.b3_2\.conv2\.weight'"):
        build("emonet-8", old)
    with pytest.raises(WeightsError, match=r"'emo_fc_2\.3\.weight' has shape \(10, 128\)"):
        build("emonet-5", state)
