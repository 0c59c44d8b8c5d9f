"""The quicker twin of a network says the same, and a result does not depend on its neighbours."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image as Pillow
from torch import Tensor, nn

from facebench import backbones
from facebench.backbones import Backbone
from facebench.backbones.inception import FidInception
from facebench.features.engine import fast
from tests.goldens.fill import fill
from tests.helpers.paths import GOLDENS_FOLDER
from tests.helpers.tiny_networks import Tiny

IMAGES = sorted((GOLDENS_FOLDER / "images" / "a").iterdir())[:3]


def inception() -> Backbone:
    with torch.device("meta"):
        shapes = {name: tuple(value.shape) for name, value in FidInception().state_dict().items()}
    return backbones.build("inception-tf", fill(shapes, 1))


@pytest.fixture(scope="module", params=[inception, lambda: backbones.build("lite0"), Tiny])
def backbone(request: pytest.FixtureRequest) -> Backbone:
    return request.param()  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def batch(backbone: Backbone) -> Tensor:
    images = [np.array(Pillow.open(path).convert("RGB")) for path in IMAGES]
    return torch.stack([backbone.preprocess(image) for image in images])


def test_the_twin_agrees_with_the_network_and_leaves_it_alone(backbone: Backbone, batch: Tensor) -> None:
    twin = fast.quicker(backbone)
    assert twin is not None
    plain, quick = backbone.embed(batch), twin.embed(batch)
    assert list(plain) == list(quick)
    for name, expected in plain.items():
        np.testing.assert_allclose(quick[name], expected, rtol=0, atol=2e-6 * np.abs(expected).max())


@pytest.mark.parametrize(("build", "convolutions"), [(inception, 94), (Tiny, 4)])
def test_every_convolution_takes_up_what_follows_it(build: Callable[[], Backbone], convolutions: int) -> None:
    backbone = build()
    twin = fast.quicker(backbone)
    assert twin is not None
    fused, plain = modules(twin), modules(backbone)
    assert fused.count(fast.FusedConvolution) == plain.count(nn.Conv2d) == convolutions
    calls = {node.target for node in twin.network.graph.nodes if node.op == "call_module"}  # type: ignore[union-attr]
    assert not any(isinstance(twin.network.get_submodule(call), nn.BatchNorm2d | nn.ReLU) for call in calls)  # type: ignore[union-attr]
    assert fast.FusedConvolution not in plain


def modules(backbone: Backbone) -> list[type]:
    assert backbone.network is not None
    return [type(module) for module in backbone.network.modules()]


def test_place_and_neighbours_do_not_change_a_bit(backbone: Backbone, batch: Tensor) -> None:
    first = fast.embed(backbone, batch)
    moved = fast.embed(backbone, torch.stack([batch[2], batch[0], batch[0] * 0.5]))
    for name, array in first.items():
        assert array[0].tobytes() == moved[name][1].tobytes()
        assert array[2].tobytes() == moved[name][0].tobytes()


def test_a_twin_that_disagrees_is_not_used(batch: Tensor) -> None:
    network = Tiny()
    network.network[0].register_forward_hook(lambda module, inputs, output: output * 3)  # lost when fused
    inputs = torch.rand(4, 3, 64, 64)
    expected = network.embed(inputs)
    for _ in range(2):
        np.testing.assert_array_equal(fast.embed(network, inputs)["features"], expected["features"])
