"""Exponential moving average (EMA) of the weights, used for samples and model files."""

from __future__ import annotations

import copy
from collections.abc import Container

import torch
from torch import nn


@torch.no_grad()
def ema_update(average: nn.Module, model: nn.Module, decay: float, skip: Container[str] = ()) -> None:
    """Update a moving average of weights: average = decay average + (1 - decay) model.

    The update covers the whole state dict, buffers included. Integer counters are copied; names in `skip` are left
    unchanged. DiffAE uses 0.9999 from the first step.
    """
    source = model.state_dict()
    for key, value in average.state_dict().items():
        if key in skip:
            continue
        if value.is_floating_point():
            value.lerp_(source[key], 1 - decay)  # one pass over memory
        else:
            value.copy_(source[key])


class EMA:
    """Copy of a network: ema = decay * ema + (1 - decay) * network after each step.

    Frozen weights, and the buffers beside them, are not updated.

    Args:
        network: network to average; its current weights are the initial value.
        decay: decay per step.
        warmup: use min(decay, (1 + step) / (10 + step)), so that the initial weights do not dominate short runs.
    """

    def __init__(self, network: nn.Module, decay: float, *, warmup: bool = False) -> None:
        # Averaging a weight with itself changes its last bit, so frozen weights are skipped.
        self._frozen = frozen_names(network)
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.decay, self.warmup = decay, warmup

    def update(self, network: nn.Module, step: int) -> None:
        """Average in the weights of the network after step `step`."""
        decay = min(self.decay, (1 + step) / (10 + step)) if self.warmup else self.decay
        ema_update(self.network, network, decay, self._frozen)


def frozen_names(network: nn.Module) -> set[str]:
    """List the parameters that are not trained, and the buffers of modules without trained parameters."""
    names = {name for name, value in network.named_parameters() if not value.requires_grad}
    for prefix, module in network.named_modules():
        parameters = list(module.parameters(recurse=False))
        if parameters and not any(value.requires_grad for value in parameters):
            names |= {
                f"{prefix}.{name}" if prefix else name for name, _ in module.named_buffers(recurse=False)
            }
    return names
