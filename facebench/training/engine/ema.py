"""The moving average of the weights that samples and model files are made of."""

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


class Average:
    """A copy of a network that follows it slowly: average = decay average + (1 - decay) network.

    Early in training the decay is smaller, min(decay, (1 + step) / (10 + step)), so that short runs are not
    dominated by the first random weights; with `warm` off it is the official constant. Frozen weights are left alone.

    Args:
        network: what to follow; its current weights are the start.
        decay: towards 1 is slower.
        warm: start with small decays.
    """

    def __init__(self, network: nn.Module, decay: float, *, warm: bool = False) -> None:
        # The mean of a weight with itself is off by its last bit, and frozen ones must stay what they are.
        self._frozen = frozen(network)
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.decay, self.warm = decay, warm

    def update(self, network: nn.Module, step: int) -> None:
        """Follow the network after step `step`."""
        decay = min(self.decay, (1 + step) / (10 + step)) if self.warm else self.decay
        ema_update(self.network, network, decay, self._frozen)


def frozen(network: nn.Module) -> set[str]:
    """Names of all weights that are not trained, and of the buffers beside them."""
    names = {name for name, value in network.named_parameters() if not value.requires_grad}
    for place, module in network.named_modules():
        own = list(module.parameters(recurse=False))
        if own and not any(value.requires_grad for value in own):
            names |= {f"{place}.{name}" if place else name for name, _ in module.named_buffers(recurse=False)}
    return names
