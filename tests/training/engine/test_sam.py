"""Sharpness-aware minimisation: the formula, and its use by the loop."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from facebench.core.errors import InputError
from facebench.training.engine import model_file
from facebench.training.engine.sam import perturbed
from tests.training.engine.conftest import NO_DROPOUT, train

MakeSettings = Callable[..., dict[str, Any]]


def test_parameters_move_along_their_gradient_and_return() -> None:
    network = nn.Linear(3, 2)
    frozen = nn.Parameter(torch.ones(2))
    network(torch.ones(4, 3)).square().sum().backward()
    before = [parameter.detach().clone() for parameter in network.parameters()]
    gradients = [parameter.grad.clone() for parameter in network.parameters()]
    norm = torch.sqrt(sum(gradient.square().sum() for gradient in gradients))
    with perturbed([*network.parameters(), frozen], 0.05):
        for parameter, value, gradient in zip(network.parameters(), before, gradients, strict=True):
            assert torch.allclose(parameter, value + 0.05 * gradient / norm, atol=1e-6)
        assert torch.equal(frozen, torch.ones(2))
    assert all(map(torch.equal, network.parameters(), before))


def test_a_step_takes_the_gradient_of_the_moved_weights() -> None:
    """On w², SAM with plain descent gives w - lr · 2 (w + rho)."""
    weight = nn.Parameter(torch.tensor([2.0]))
    weight.square().sum().backward()
    with perturbed([weight], 0.5):
        weight.grad = None
        weight.square().sum().backward()
    assert weight.grad is not None
    assert float(weight.grad) == pytest.approx(2 * 2.5)


def test_a_run_with_sam_accumulates_and_resumes_to_the_same_weights(
    settings: MakeSettings, tmp_path: Path
) -> None:
    def run(name: str, steps: int, **changes: Any) -> dict[str, torch.Tensor]:
        optimizer = {"kind": "sgd", "learning_rate": 1e-3, "sam_rho": 0.05}
        content = settings(model=NO_DROPOUT, optimizer=optimizer, steps=steps, **changes)
        return dict(model_file.read(train(content, tmp_path / name), "diffae").tensors)

    whole = run("whole", 4)
    run("parts", 2)
    resumed = run("parts", 4)
    accumulated = run("accumulated", 4, gradient_accumulation=2)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert max(float((whole[name] - accumulated[name]).abs().max()) for name in whole) < 1e-5


def test_sam_without_enough_precision_is_an_error(settings: MakeSettings, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"SAM \(optimizer.sam_rho\) and fp16 do not go together"):
        train(settings(optimizer={"sam_rho": 0.05}, precision="fp16"), tmp_path)
