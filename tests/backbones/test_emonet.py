from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from facebench.backbones import build
from facebench.backbones.emonet import EXPRESSIONS, EmoNet
from facebench.core.errors import WeightsError
from tests.helpers.golden_networks import Golden, State, agrees, scaled

GOLDEN = Golden("emonet")


def calmed(state: State) -> State:
    return scaled(state, 0.4, lambda _, value: value.ndim == 4)


def emonet(name: str, state: State) -> EmoNet:
    backbone = build(name, state)
    assert isinstance(backbone, EmoNet)
    assert len(backbone.expressions) == (5 if "-5" in name else 8)
    return backbone


@pytest.fixture(scope="module")
def state() -> State:
    return GOLDEN.state("parameters 8")


@pytest.fixture(scope="module")
def plain(state: State) -> EmoNet:
    return emonet("emonet-8", state)


@pytest.fixture(scope="module")
def calm(state: State) -> EmoNet:
    return emonet("emonet-8", calmed(state))


def equals_the_authors_code(backbone: EmoNet, kind: str, rows: int) -> None:
    batch = torch.stack([backbone.preprocess(image) for image in GOLDEN.images(rows)])
    actual = backbone.embed(batch)
    for name in ("expression", "valence", "arousal"):
        agrees(actual[name], GOLDEN[f"{kind}.{name}"], rows=rows)
    maps = backbone.heatmaps(batch[:1])
    assert maps.shape == (1, 68, 64, 64)
    agrees(maps[:, ::4, ::4, ::4], GOLDEN[f"{kind}.heatmap_first"])
    if "calmed" not in kind:
        agrees(maps.mean((2, 3)), GOLDEN[f"{kind}.heatmap_mean"], rows=1)
        agrees(maps.std((2, 3)), GOLDEN[f"{kind}.heatmap_std"], rows=1)


def test_eight_classes_equal_the_authors_code(plain: EmoNet, calm: EmoNet) -> None:
    equals_the_authors_code(plain, "8", rows=2)
    equals_the_authors_code(calm, "8.calmed", rows=2)


def test_five_classes_equal_the_authors_code() -> None:
    state = GOLDEN.state("parameters 5")
    equals_the_authors_code(emonet("emonet-5", state), "5", rows=1)
    equals_the_authors_code(emonet("emonet-5", calmed(state)), "5.calmed", rows=1)


def test_the_input_is_rgb_in_zero_to_one_resized_without_antialias(plain: EmoNet) -> None:
    x = plain.preprocess(GOLDEN.images(1)[0])
    assert x.shape == (3, 256, 256)
    np.testing.assert_allclose(x[:, ::8, ::8], GOLDEN["input.first"][0], atol=1e-6)
    # A stripe of one pixel in eight is lost between the samples; antialiasing would keep an eighth of it.
    stripes = np.zeros((512, 2048, 3), np.uint8)
    stripes[:, ::8] = 255
    assert plain.preprocess(stripes).max() == 0


def test_the_flip_variant_averages_the_mirror_image_and_clips(calm: EmoNet, state: State) -> None:
    published = emonet("emonet-8-flip", calmed(state))
    assert published.preprocessing != calm.preprocessing
    batch = torch.stack([calm.preprocess(image) for image in GOLDEN.images(1)])
    once, mirrored, actual = calm.embed(batch), calm.embed(batch.flip(-1)), published.embed(batch)
    assert max(np.abs(once[name]).max() for name in ("valence", "arousal")) > 1, "raw answers are not bounded"
    for name in ("valence", "arousal"):
        np.testing.assert_allclose(actual[name], np.clip((once[name] + mirrored[name]) / 2, -1, 1), rtol=1e-5)
    np.testing.assert_array_equal(actual["expression"], once["expression"])


def test_the_network_is_in_eval_mode_and_its_fifth_class_of_five_is_anger(plain: EmoNet) -> None:
    assert not any(module.training for module in plain.network.modules())
    assert plain.expressions[4] == "fear"
    assert EXPRESSIONS[5][4] == "anger"


def test_an_official_file_may_have_a_prefix_and_may_lack_only_batch_counters(
    tmp_path: Path, state: State
) -> None:
    old = {f"module.{k}": v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    torch.save(old, tmp_path / "emonet_8.pth")
    network = build("emonet-8", tmp_path / "emonet_8.pth").network
    assert network is not None
    torch.testing.assert_close(network.state_dict(), state)
    del old["module.m1.b3_2.conv2.weight"]
    with pytest.raises(WeightsError, match=r"lack 'm1\.b3_2\.conv2\.weight'"):
        build("emonet-8", old)
    with pytest.raises(WeightsError, match=r"'emo_fc_2\.3\.weight' has shape \(10, 128\)"):
        build("emonet-5", state)
