"""Memory of a training step, and the parts into which a batch is split."""

from __future__ import annotations

import pytest
import torch

from facebench.core.errors import InputError
from facebench.training.models import CompactRigConfig, DiffusionRigConfig, DiffusionRigEmoConfig
from facebench.training.rig.memory import (
    build_rig,
    bytes_per_image,
    one_step,
    parameter_bytes,
    parts_that_fit,
)

SIZES = {"size": 32, "multipliers": (1, 2), "channels": 16, "time_channels": 16, "blocks": 1, "attention": ()}


@pytest.mark.parametrize(
    "config", [DiffusionRigConfig(**SIZES), DiffusionRigEmoConfig(**SIZES), CompactRigConfig(**SIZES)]
)
def test_activations_are_those_that_a_real_step_saves(config: DiffusionRigConfig | CompactRigConfig) -> None:
    torch.manual_seed(0)
    network, saved = build_rig(config).train(), []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if not isinstance(tensor, torch.nn.Parameter):
            saved.append(tensor.numel() * tensor.element_size())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        one_step(network, 2, "cpu").backward()
    assert bytes_per_image(config) == pytest.approx(sum(saved) / 2, rel=0.05)
    assert parameter_bytes(config) == 16 * sum(p.numel() for p in network.parameters())


def test_the_fewest_equal_parts_that_fit() -> None:
    assert parts_that_fit(16, 1, 0, 100) == 1
    assert parts_that_fit(16, 10, 20, 110) == 4
    assert parts_that_fit(6, 10, 0, 25) == 3
    with pytest.raises(InputError, match="One image needs"):
        parts_that_fit(16, 10, 20, 30)
