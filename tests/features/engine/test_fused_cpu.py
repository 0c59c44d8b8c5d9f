"""The fused copy of a network gives the same results, independent of the other inputs in a batch."""

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
from facebench.features.engine import fused_cpu
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


def test_the_fused_copy_agrees_with_the_unchanged_network(backbone: Backbone, batch: Tensor) -> None:
    copy = fused_cpu.fused_copy(backbone)
    assert copy is not None
    plain, fused = backbone.embed(batch), copy.embed(batch)
    assert list(plain) == list(fused)
    for name, expected in plain.items():
        np.testing.assert_allclose(fused[name], expected, rtol=0, atol=2e-6 * np.abs(expected).max())


@pytest.mark.parametrize(("build", "convolutions"), [(inception, 94), (Tiny, 4)])
def test_every_convolution_includes_its_normalisation_and_relu(
    build: Callable[[], Backbone], convolutions: int
) -> None:
    backbone = build()
    copy = fused_cpu.fused_copy(backbone)
    assert copy is not None
    fused, plain = modules(copy), modules(backbone)
    assert fused.count(fused_cpu.FusedConvolution) == plain.count(nn.Conv2d) == convolutions
    calls = {node.target for node in copy.network.graph.nodes if node.op == "call_module"}  # type: ignore[union-attr]
    assert not any(isinstance(copy.network.get_submodule(call), nn.BatchNorm2d | nn.ReLU) for call in calls)  # type: ignore[union-attr]
    assert fused_cpu.FusedConvolution not in plain


def modules(backbone: Backbone) -> list[type]:
    assert backbone.network is not None
    return [type(module) for module in backbone.network.modules()]


def test_results_do_not_depend_on_position_or_other_inputs(backbone: Backbone, batch: Tensor) -> None:
    first = fused_cpu.embed(backbone, batch)
    moved = fused_cpu.embed(backbone, torch.stack([batch[2], batch[0], batch[0] * 0.5]))
    for name, array in first.items():
        assert array[0].tobytes() == moved[name][1].tobytes()
        assert array[2].tobytes() == moved[name][0].tobytes()


def test_a_fused_copy_that_differs_is_not_used() -> None:
    network = Tiny()
    network.network[0].register_forward_hook(
        lambda module, inputs, output: output * 3
    )  # fusing drops the hook
    inputs = torch.rand(4, 3, 64, 64)
    expected = network.embed(inputs)
    for _ in range(2):
        np.testing.assert_array_equal(fused_cpu.embed(network, inputs)["features"], expected["features"])


def test_a_difference_above_the_tolerance_counts() -> None:
    values = {"features": np.array([[1.0, -3.0]], np.float32)}
    for difference, agree in ((0.5 * fused_cpu.TOLERANCE, True), (2 * fused_cpu.TOLERANCE, False)):
        shifted = {"features": values["features"] + np.float32(3 * difference)}
        assert fused_cpu._agree(shifted, values) == agree


@pytest.mark.parametrize("missing", ["oneDNN", "operator"])
def test_without_the_private_operators_the_plain_network_runs(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if missing == "oneDNN":
        monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    else:
        monkeypatch.setattr(torch.ops, "mkldnn", object())
    network, inputs = Tiny(), torch.rand(4, 3, 64, 64)
    assert fused_cpu.fused_copy(network) is None
    expected = network.embed(inputs)
    np.testing.assert_array_equal(fused_cpu.embed(network, inputs)["features"], expected["features"])


def test_an_operator_that_rejects_its_arguments_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def changed_signature(*arguments: object) -> Tensor:
        raise TypeError("convolve() takes 12 arguments")

    operators = fused_cpu.Operators(reorder_weight=lambda weight, *_: weight, convolve=changed_signature)
    monkeypatch.setattr(fused_cpu, "_mkldnn_operators", lambda: operators)
    network, inputs = Tiny(), torch.rand(4, 3, 64, 64)
    expected = network.embed(inputs)
    for _ in range(2):
        np.testing.assert_array_equal(fused_cpu.embed(network, inputs)["features"], expected["features"])
