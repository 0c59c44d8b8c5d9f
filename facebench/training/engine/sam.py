"""Sharpness-aware minimisation: the gradient of a step is taken where the loss is highest nearby.

w' = w + rho · g(w) / |g(w)|,   the step at w uses g(w')
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn

from facebench.core.errors import InputError
from facebench.training.engine.settings import TrainConfig

_EPSILON = 1e-12
"""Added to the norm; a gradient of zero moves nothing."""


def check_precision(config: TrainConfig) -> None:
    """Refuse SAM with fp16, whose gradients may overflow before the move.

    Raises:
        InputError: both are set.
    """
    if config.optimizer.sam_rho is not None and config.precision == "fp16":
        raise InputError(
            "SAM (optimizer.sam_rho) and fp16 do not go together. Use precision=bf16 or float32."
        )


@contextmanager
def perturbed(parameters: Sequence[nn.Parameter], rho: float) -> Iterator[None]:
    """Move parameters by `rho` along their gradients inside the block; afterwards they have their values again.

    Args:
        parameters: parameters with gradients; those without a gradient stay.
        rho: length of the move, over all parameters.

    Source:
        Foret et al. 2021, "Sharpness-Aware Minimization for Efficiently Improving Generalization", equation 2.
    """
    moved = [parameter for parameter in parameters if parameter.grad is not None]
    values = [parameter.detach().clone() for parameter in moved]
    norm = float(nn.utils.clip_grad_norm_(moved, math.inf))
    with torch.no_grad():
        for parameter in moved:
            if parameter.grad is not None:
                parameter.add_(parameter.grad, alpha=rho / (norm + _EPSILON))
    try:
        yield
    finally:
        with torch.no_grad():
            for parameter, value in zip(moved, values, strict=True):
                parameter.copy_(value)
