"""Fused optimizers: same results as the unfused ones, on any number of threads and after skipped fp16 steps."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from facebench.training.engine.optimizer import learning_rate, make_optimizer
from facebench.training.engine.settings import OptimizerConfig

PLAIN: dict[str, Any] = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}


def initial_parameters() -> list[nn.Parameter]:
    torch.manual_seed(0)
    return [nn.Parameter(torch.randn(size)) for size in (7, 1001, 100_003)]


def updated(optimizer: torch.optim.Optimizer, parameters: list[nn.Parameter], steps: int = 5) -> list[Tensor]:
    torch.manual_seed(1)
    for _ in range(steps):
        for parameter in parameters:
            parameter.grad = torch.randn_like(parameter)
        optimizer.step()
    return [parameter.detach().clone() for parameter in parameters]


@pytest.mark.parametrize("kind", ["adam", "adamw"])
def test_fused_and_unfused_optimizers_agree(kind: Any) -> None:
    ours, theirs = initial_parameters(), initial_parameters()
    fused = updated(make_optimizer(OptimizerConfig(kind=kind, weight_decay=0.01), ours), ours)
    unfused = updated(PLAIN[kind](theirs, 1e-4, weight_decay=0.01, fused=False), theirs)
    for one, other in zip(fused, unfused, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", ["adam", "adamw"])
def test_results_do_not_depend_on_the_number_of_threads(kind: Any) -> None:
    threads, results = torch.get_num_threads(), []
    for number in (1, 2):
        torch.set_num_threads(number)
        parameters = initial_parameters()
        results.append(updated(make_optimizer(OptimizerConfig(kind=kind), parameters), parameters))
    torch.set_num_threads(threads)
    assert all(torch.equal(one, other) for one, other in zip(*results, strict=True))


@pytest.mark.parametrize("kind", ["adam", "adamw", "sgd"])
def test_a_step_that_overflows_in_fp16_changes_neither_weights_nor_moments(kind: Any) -> None:
    weights = []
    for gradients in ((math.inf, 1.0, math.nan, 2.0), (1.0, 2.0)):
        parameter = nn.Parameter(torch.ones(1000))
        optimizer = make_optimizer(OptimizerConfig(kind=kind, learning_rate=0.1), [parameter])
        scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
        for gradient in gradients:
            scaler.scale((parameter * gradient).sum()).backward()  # type: ignore[no-untyped-call]
            # The loop unscales gradients before it clips them.
            scaler.unscale_(optimizer)
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad()
        weights.append(parameter.detach())
    assert torch.equal(*weights)


def test_a_cosine_schedule_decreases_to_almost_zero() -> None:
    cosine = OptimizerConfig(learning_rate=1.0, decay="cosine")
    rates = [learning_rate(cosine, step, 100) for step in range(100)]
    assert rates[0] == 1.0
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < 1e-3
