"""LoRA for the denoiser of a diffusion autoencoder.

An adapter adds (alpha / rank) B A to the weight of its layer. B is initialised with zeros, so training starts with
the unchanged network. Only adapters are trained, and model files contain the merged weights.

Source: Hu et al. 2022, "LoRA: low-rank adaptation of large language models".
"""

from __future__ import annotations

from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from facebench.training.engine.settings import Settings


class LoraSettings(Settings):
    """Rank and scale of the adapters."""

    rank: int = Field(4, gt=0)
    alpha: float = Field(4.0, gt=0)


def add_adapters(network: nn.Module, part: str, settings: LoraSettings, seed: int) -> nn.Module:
    """Freeze a network and add adapters to all convolutions of one submodule, including those of its attention.

    Args:
        network: the network, changed in place.
        part: name of the submodule, such as "unet".
        settings: rank and alpha.
        seed: seed of the initial A.
    """
    from peft import LoraConfig, inject_adapter_in_model

    names = [
        name
        for name, layer in network.named_modules()
        if name.startswith(f"{part}.") and isinstance(layer, (nn.Conv1d, nn.Conv2d))
    ]
    network.requires_grad_(False)
    torch.manual_seed(seed)
    # peft accepts fractions, although its annotation is int.
    alpha: Any = settings.alpha
    inject_adapter_in_model(LoraConfig(r=settings.rank, lora_alpha=alpha, target_modules=names), network)
    return network


def lora_state(network: nn.Module) -> dict[str, Tensor]:
    """Return the state dict of the adapters only."""
    return {name: value for name, value in network.state_dict().items() if "lora_" in name}


@torch.no_grad()
def merged_state(network: nn.Module) -> dict[str, Tensor]:
    """Return a state dict without adapters, with their updates added to the weights; the network is unchanged."""
    from peft.tuners.lora.layer import Conv1d, Conv2d

    state = {
        name.replace(".base_layer.", "."): value
        for name, value in network.state_dict().items()
        if "lora_" not in name
    }
    for name, layer in network.named_modules():
        if isinstance(layer, (Conv1d, Conv2d)):
            state[f"{name}.weight"] = state[f"{name}.weight"] + layer.get_delta_weight("default")
    return state
