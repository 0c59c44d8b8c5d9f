"""Optimizers and learning rate schedules."""

from __future__ import annotations

import math

import torch
from torch import nn

from facebench.training.engine.settings import OptimizerConfig

FUSED = ("cpu", "cuda")
"""Devices whose fused Adam is deterministic."""


def make_optimizer(settings: OptimizerConfig, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    """Build the optimizer; Adam is fused where possible, which takes a quarter of the time."""
    rate, decay = settings.learning_rate, settings.weight_decay
    if settings.kind == "sgd":
        # Fused SGD reads uninitialised momentum when fp16 skips the first step.
        return torch.optim.SGD(parameters, rate, momentum=settings.momentum, weight_decay=decay)
    fused = all(parameter.device.type in FUSED for parameter in parameters)
    if settings.kind == "adamw":
        return torch.optim.AdamW(parameters, rate, weight_decay=decay, fused=fused)
    return torch.optim.Adam(parameters, rate, weight_decay=decay, fused=fused)


def learning_rate(settings: OptimizerConfig, step: int, steps: int) -> float:
    """Return the learning rate of a step, from 0.

    Example:
        >>> [learning_rate(OptimizerConfig(learning_rate=1.0, warmup=2), step, 10) for step in (0, 1, 2, 9)]
        [0.5, 1.0, 1.0, 1.0]
    """
    rate = settings.learning_rate * min(1.0, (step + 1) / max(1, settings.warmup))
    if settings.decay == "cosine":
        rate *= 0.5 * (1 + math.cos(math.pi * step / (settings.cosine_steps or steps)))
    return rate
