"""The optimisers: one pass over the parameters, the formula of the plain ones, and steps that fp16 skips."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from facebench.training.engine.optimizer import make_optimizer
from facebench.training.engine.settings import OptimizerConfig

PLAIN: dict[str, Any] = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}


def start() -> list[nn.Parameter]:
    torch.manual_seed(0)
    return [nn.Parameter(torch.randn(size)) for size in (7, 1001, 100_003)]


def moved(optimiser: torch.optim.Optimizer, parameters: list[nn.Parameter], steps: int = 5) -> list[Tensor]:
    torch.manual_seed(1)
    for _ in range(steps):
        for parameter in parameters:
            parameter.grad = torch.randn_like(parameter)
        optimiser.step()
    return [parameter.detach().clone() for parameter in parameters]


@pytest.mark.parametrize("kind", ["adam", "adamw"])
def test_one_pass_over_the_parameters_gives_the_weights_of_the_plain_formula(kind: Any) -> None:
    ours, theirs = start(), start()
    made = moved(make_optimizer(OptimizerConfig(kind=kind, weight_decay=0.01), ours), ours)
    plain = moved(PLAIN[kind](theirs, 1e-4, weight_decay=0.01, fused=False), theirs)
    for one, other in zip(made, plain, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", ["adam", "adamw"])
def test_the_bits_do_not_depend_on_the_number_of_threads(kind: Any) -> None:
    threads, made = torch.get_num_threads(), []
    for number in (1, 2):
        torch.set_num_threads(number)
        parameters = start()
        made.append(moved(make_optimizer(OptimizerConfig(kind=kind), parameters), parameters))
    torch.set_num_threads(threads)
    assert all(torch.equal(one, other) for one, other in zip(*made, strict=True))


@pytest.mark.parametrize("kind", ["adam", "adamw", "sgd"])
def test_a_step_that_half_precision_overflows_leaves_weights_and_moments_alone(kind: Any) -> None:
    weights = []
    for gradients in ((math.inf, 1.0, math.nan, 2.0), (1.0, 2.0)):
        parameter = nn.Parameter(torch.ones(1000))
        optimiser = make_optimizer(OptimizerConfig(kind=kind, learning_rate=0.1), [parameter])
        scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
        for gradient in gradients:
            scaler.scale((parameter * gradient).sum()).backward()  # type: ignore[no-untyped-call]
            # The loop clips, and for that it takes the scale off first.
            scaler.unscale_(optimiser)
            scaler.step(optimiser)
            scaler.update()
            optimiser.zero_grad()
        weights.append(parameter.detach())
    assert torch.equal(*weights)
