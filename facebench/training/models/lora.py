"""Low-rank adapters on an autoencoder's denoiser: only they are trained, and in the end they become part of it.

An adapter adds (alpha / rank) B A to the weight of its layer. B starts at zero, so that training begins with the
network as it was (Hu et al. 2022).
"""

from __future__ import annotations

from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from facebench.training.engine.settings import Settings


class LoraSettings(Settings):
    """Size of the adapters."""

    rank: int = Field(4, gt=0)
    alpha: float = Field(4.0, gt=0)


def add_adapters(network: nn.Module, part: str, settings: LoraSettings, seed: int) -> nn.Module:
    """Freeze a network and put adapters on all convolutions of one part; its attention projects by convolutions too.

    Args:
        network: what to adapt, in place.
        part: name of the part, such as "unet".
        settings: rank and alpha.
        seed: of the first A.
    """
    from peft import LoraConfig, inject_adapter_in_model

    names = [
        name
        for name, layer in network.named_modules()
        if name.startswith(f"{part}.") and isinstance(layer, (nn.Conv1d, nn.Conv2d))
    ]
    network.requires_grad_(False)
    torch.manual_seed(seed)
    # peft takes fractions too, whatever its annotation says.
    alpha: Any = settings.alpha
    inject_adapter_in_model(LoraConfig(r=settings.rank, lora_alpha=alpha, target_modules=names), network)
    return network


def adapters(network: nn.Module) -> dict[str, Tensor]:
    """The state of the adapters alone."""
    return {name: value for name, value in network.state_dict().items() if "lora_" in name}


@torch.no_grad()
def merged(network: nn.Module) -> dict[str, Tensor]:
    """The state of a network without adapters that computes what this one does with them; nothing is changed."""
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
