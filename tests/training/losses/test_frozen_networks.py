"""Frozen networks of the loss terms: DECA's, EMOCA's and FaceReader's β, and its gradient."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from facebench import backbones
from facebench.backbones.crops import face224
from facebench.backbones.deca import OUTPUTS, CoarseEncoder
from facebench.core.errors import InputError, WeightsError
from facebench.training.losses import timestep_weight
from facebench.training.losses.frozen_networks import (
    DecaShape,
    FaceReaderShape,
    FrozenNetworks,
    ShapeNetwork,
    open_frozen_networks,
    open_shape_network,
)
from facebench.training.losses.identity_losses import LossInputs, face_losses
from facebench.training.losses.loss_weights import LossWeights, ShapeLoss
from tests.helpers.golden_networks import Golden
from tests.helpers.tiny_training import prepare

BOX = torch.tensor([[9.5, 7.25, 44.0, 50.0]])
LANDMARKS = torch.tensor([[[22.0, 27.0], [42.0, 27.0], [32.0, 38.0], [24.0, 48.0], [40.0, 48.0]]])


@pytest.fixture(scope="module")
def deca() -> CoarseEncoder:
    """DECA's encoder with deterministic weights, in float64."""
    encoder = CoarseEncoder(OUTPUTS)
    encoder.load_state_dict(Golden("deca_encoder").state())
    return encoder.requires_grad_(False).eval().double()


@pytest.fixture(scope="module")
def facereader() -> torch.nn.Module:
    """FaceReader in float64."""
    network = backbones.build("facereader").network
    assert isinstance(network, torch.nn.Module)
    return network.double()


def faces(seed: int) -> torch.Tensor:
    smooth = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return 1.6 * torch.nn.functional.interpolate(smooth, (64, 64), mode="bicubic").clamp(0, 1) - 0.8


def loss_of(network: ShapeNetwork, x_0_hat: torch.Tensor, t: int = 0) -> torch.Tensor:
    """The weighted shape loss of a predicted face."""
    weights = LossWeights(shape=ShapeLoss(weight=0.5))
    inputs = LossInputs(faces(0), x_0_hat, torch.tensor([t]), LANDMARKS, BOX)
    return face_losses(weights, FrozenNetworks(None, network), inputs)["shape"]


@pytest.mark.parametrize("reader", ["deca", "facereader"])
def test_the_gradient_of_the_shape_loss_matches_finite_differences(
    reader: str, request: pytest.FixtureRequest
) -> None:
    read = {"deca": DecaShape, "facereader": FaceReaderShape}[reader](request.getfixturevalue(reader))
    x = faces(1).requires_grad_()
    (gradient,) = torch.autograd.grad(loss_of(read, x), x)
    assert float(gradient.abs().max()) > 0
    step = 1e-9  # larger steps cross kinks of the ReLUs
    for seed in range(2):
        direction = torch.randn(x.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        with torch.no_grad():
            ends = [float(loss_of(read, x + sign * step * direction)) for sign in (1, -1)]
        assert float((gradient * direction).sum()) == pytest.approx(
            (ends[0] - ends[1]) / (2 * step), rel=1e-4
        )


def test_the_shape_loss_is_weighted_like_the_other_terms(facereader: torch.nn.Module) -> None:
    read, x = FaceReaderShape(facereader), faces(1)
    late, early = float(loss_of(read, x, 600)), float(loss_of(read, x))
    assert late == pytest.approx(early * float(timestep_weight(torch.tensor([600]))), rel=1e-6)


def test_pixels_outside_the_box_have_no_gradient(deca: CoarseEncoder) -> None:
    x = faces(1).requires_grad_()
    (gradient,) = torch.autograd.grad(loss_of(DecaShape(deca), x), x)
    assert float(gradient[..., 20:40, 20:40].abs().max()) > 0
    assert float(gradient[..., :, :1].abs().max()) == 0


def test_beta_equals_that_of_the_metric(deca: CoarseEncoder) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    images = torch.from_numpy(pixels.astype(np.float64)).permute(2, 0, 1)[None] / 127.5 - 1
    crop = face224(pixels, tuple(BOX[0].tolist()))
    expected = deca(torch.from_numpy(crop).permute(2, 0, 1)[None].double() / 255)[:, :100]
    beta = DecaShape(deca)(images, LANDMARKS.numpy(), BOX.numpy())
    assert beta.shape == (1, 100)
    # The metric's crop is rounded to whole grey values.
    torch.testing.assert_close(beta, expected, rtol=0, atol=0.02 * float(expected.std()))


def test_emoca_has_the_shape_of_deca(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    state = Golden("deca_encoder").state()
    emoca = {f"E_flame.{name}": value for name, value in state.items()}
    emoca |= {f"E_expression.{name}": value for name, value in CoarseEncoder(50).state_dict().items()}
    files = {
        "deca": {"E_flame": state},
        "emoca": {"state_dict": {f"deca.{name}": value for name, value in emoca.items()}},
    }
    build = backbones.build
    for reader, content in files.items():
        torch.save(content, tmp_path / f"{reader}.tar")
    monkeypatch.setattr(backbones, "build", lambda name: build(name, tmp_path / f"{name}.tar"))
    betas = [
        open_shape_network(reader)(faces(0).float(), LANDMARKS.numpy(), BOX.numpy())
        for reader in ("deca", "emoca")
    ]
    torch.testing.assert_close(betas[0], betas[1])


def test_missing_weights_are_named_with_the_way_to_get_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FACEBENCH_CACHE", str(tmp_path))
    for reader in ("deca", "emoca"):
        with pytest.raises(WeightsError, match=rf"(?s)missing: {reader}.*facebench weights import {reader}"):
            open_frozen_networks(LossWeights(shape=ShapeLoss(weight=1.0, reader=reader)))


def test_an_unknown_reader_is_refused() -> None:
    content = {"model": {"size": 64}, "data": {"kind": "synthface"}}
    with pytest.raises(InputError, match=r"'loss\.shape\.reader' is \"decca\""):
        prepare("diffae", **content, loss={"shape": {"weight": 1.0, "reader": "decca"}})
