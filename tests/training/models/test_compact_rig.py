"""The compact rig: the three outputs of its U-Net."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from facebench.training.diffusion import ddim_decode, q_sample, x_0_from_eps
from facebench.training.models import CompactRig, CompactRigConfig
from facebench.training.models.compact_rig import PredictionType


def network(prediction_type: PredictionType, patch: int = 1) -> CompactRig:
    config = CompactRigConfig(
        size=16, multipliers=(1,), channels=16, patch=patch, prediction_type=prediction_type
    )
    return CompactRig(config).eval()


def test_an_untrained_network_implies_a_clean_photo_that_depends_on_its_output() -> None:
    """Its output is 0. As eps this means no noise, as v a mixture, and as the change the rendered face itself."""
    x_t, t = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(0)), torch.tensor([250])
    root_abar = q_sample(torch.ones(1, 1, 1, 1), t, torch.zeros(1, 1, 1, 1))
    expected: dict[PredictionType, Tensor] = {
        "eps": x_t / root_abar,
        "v": x_t * root_abar,
        "change": torch.full_like(x_t, 0.5),
    }
    for prediction_type, x_0 in expected.items():
        eps = network(prediction_type)(x_t, t, torch.full((1, 9, 16, 16), 0.75), torch.zeros(1, 64))
        assert torch.allclose(x_0_from_eps(x_t, t, eps), x_0, atol=1e-5)


@pytest.mark.parametrize("steps", [1, 4, 20])
def test_an_untrained_network_of_the_change_samples_the_rendered_face(steps: int) -> None:
    rig = network("change", patch=2)
    generator = torch.Generator().manual_seed(0)
    buffers = torch.rand(1, 9, 16, 16, generator=generator)
    noise = torch.randn(1, 3, 16, 16, generator=generator)
    photo = ddim_decode(rig.driven_by(buffers), noise, torch.zeros(1, 64), steps)
    assert torch.allclose(photo, buffers[:, :3] * 2 - 1, atol=1e-4)


def test_former_keys_are_read() -> None:
    former = {"size": 16, "multipliers": [1, 2], "positions": True, "predicts": "change"}
    config = CompactRigConfig.model_validate(former)
    assert (config.position_features, config.prediction_type) == (True, "change")
