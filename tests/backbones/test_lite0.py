"""EfficientNet-Lite0: the packaged weights give the features of the package itself, and of timm."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest
import torch
from PIL import Image as Pillow
from sklearn.datasets import load_sample_images

from facebench.backbones import build
from facebench.backbones.lite0 import Lite0
from facebench.backbones.lite0_network import STAGES
from facebench.backbones.resize import IMAGENET_MEAN, IMAGENET_STD
from facebench.backbones.weights import WeightsSource
from facebench.core.errors import WeightsError
from facebench.images.image_set import ImageSet, decode, read
from tests.helpers.paths import GOLDENS_FOLDER

IMAGES = GOLDENS_FOLDER / "images"
# The strongest features, and the mean, that efficientnet_lite_pytorch 0.1.0 gives for `waves()`.
PACKAGE = {
    61: 2.90803,
    113: 3.25615,
    226: 2.20866,
    422: 3.23386,
    458: 2.16872,
    555: 2.46613,
    828: 2.13672,
    897: 3.62261,
    915: 4.33495,
    949: 3.22692,
    989: 2.29257,
    1268: 2.42598,
}
PACKAGE_MEAN = 0.118315


@pytest.fixture(scope="module")
def lite0() -> Lite0:
    return cast(Lite0, build("lite0"))


@pytest.fixture(scope="module")
def batch(lite0: Lite0) -> torch.Tensor:
    return torch.stack([lite0.preprocess(decode(read(item))) for item in ImageSet.open(IMAGES).items[::16]])


def test_every_official_parameter_is_used(lite0: Lite0) -> None:
    official = WeightsSource.of("lite0", None).state_dict()
    assert len(lite0.network.state_dict()) == len(official) == 296
    assert sum(stage.blocks for stage in STAGES) == len(
        {name.split(".")[1] for name in official if name.startswith("_blocks")}
    )


def waves() -> torch.Tensor:
    ramp = torch.linspace(-1, 1, 3 * 224 * 224).reshape(1, 3, 224, 224)
    return torch.sin(7 * ramp + 40 * ramp.transpose(2, 3))


def test_features_equal_those_of_the_official_package(lite0: Lite0) -> None:
    features = lite0.embed(waves())["features"][0]
    np.testing.assert_allclose(features[list(PACKAGE)], list(PACKAGE.values()), atol=2e-5)
    assert features.mean() == pytest.approx(PACKAGE_MEAN, abs=2e-6)


def test_the_running_statistics_agree_with_the_scaling(lite0: Lite0) -> None:
    """The first batch norm stores the mean and variance of its training input, which was photographs."""
    stem, norm = lite0.network._conv_stem, lite0.network._bn0
    alive = norm.running_var > 1e-3
    ours = torch.stack([lite0.preprocess(photograph) for photograph in load_sample_images().images])

    def misfit(inputs: torch.Tensor) -> float:
        spread = stem(inputs).var(dim=(0, 2, 3))[alive]
        return float((spread.log() - norm.running_var[alive].log()).abs().mean())

    unit = (ours * 128 + 127) / 255
    mean = torch.tensor(IMAGENET_MEAN)[:, None, None]
    std = torch.tensor(IMAGENET_STD)[:, None, None]
    assert 2 * misfit(ours) < misfit((unit - mean) / std)
    assert 2 * misfit(ours) < misfit(unit)


def test_there_are_1280_features_and_none_is_negative(lite0: Lite0, batch: torch.Tensor) -> None:
    features = lite0.embed(batch)["features"]
    assert features.shape == (len(batch), 1280)
    assert features.dtype == np.float32
    assert (features >= 0).all()
    assert features.std(axis=0).mean() > 0.01


def test_a_row_does_not_depend_on_its_batch(lite0: Lite0, batch: torch.Tensor) -> None:
    together = lite0.embed(batch)["features"]
    alone = np.concatenate([lite0.embed(row[None])["features"] for row in batch])
    np.testing.assert_allclose(alone, together, atol=2e-5)


def test_the_whole_image_is_resized_bicubically_and_scaled(lite0: Lite0) -> None:
    image = np.random.default_rng(0).integers(0, 256, (300, 500, 3), dtype=np.uint8)
    expected = Pillow.fromarray(image).resize((224, 224), Pillow.Resampling.BICUBIC)
    prepared = lite0.preprocess(image)
    assert prepared.shape == (3, 224, 224)
    np.testing.assert_allclose(
        prepared.numpy(), (np.asarray(expected).transpose(2, 0, 1) - 127.0) / 128, atol=1e-6
    )


def test_the_file_is_the_official_one(lite0: Lite0) -> None:
    assert lite0.weights.verified
    assert lite0.weights.sha256 == "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


def test_weights_of_another_network_are_refused_with_the_parameter_name() -> None:
    state = WeightsSource.of("lite0", None).state_dict()
    with pytest.raises(WeightsError, match="lack"):
        build("lite0", {name: value for name, value in state.items() if "_blocks.15" not in name})
    with pytest.raises(WeightsError, match=r"_blocks\.16\._bn2"):
        build("lite0", {**state, "_blocks.16._bn2.bias": torch.zeros(320)})
