from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from torch_fidelity.feature_extractor_vgg16 import FeatureExtractorVGG16

from facebench.backbones import build
from facebench.core.errors import WeightsError
from tests.helpers.golden_networks import State, answers, fill, read


@pytest.fixture(scope="module")
def state() -> State:
    with torch.device("meta"):
        network = torchvision.models.vgg16()
    return fill({name: tuple(value.shape) for name, value in network.state_dict().items()}, 0)


def test_torch_fidelity_gives_the_same_features(state: State, tmp_path: Path) -> None:
    torch.save(state, tmp_path / "vgg16.pth")
    peer = FeatureExtractorVGG16("peer", ["fc2", "fc2_relu"], str(tmp_path / "vgg16.pth"))
    (tmp_path / "vgg16.pth").unlink()  # half a gigabyte
    image = read("a/id000_angry.png")[10:110, 20:220]
    planes = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))[None]
    actual = answers(build("vgg16", state), [image])
    for array, values in zip(("fc2", "fc2_relu"), peer(planes), strict=True):
        assert actual[array].shape == (1, 4096)
        np.testing.assert_allclose(actual[array], values, rtol=0, atol=1e-4)
    assert (actual["fc2"] < 0).any()
    assert (actual["fc2_relu"] >= 0).all()


def test_weights_of_another_network_are_refused_with_the_first_wrong_key(state: State) -> None:
    with pytest.raises(WeightsError, match=r"lack 'classifier\.6\.bias'"):
        build("vgg16", {name: value for name, value in state.items() if name != "classifier.6.bias"})
    with pytest.raises(WeightsError, match=r"'classifier\.6\.weight' has shape \(10, 4096\)"):
        build("vgg16", state | {"classifier.6.weight": torch.zeros(10, 4096)})
    with pytest.raises(WeightsError, match=r"contain 'features\.1\.running_mean'"):
        build("vgg16", state | {"features.1.running_mean": torch.zeros(64)})
