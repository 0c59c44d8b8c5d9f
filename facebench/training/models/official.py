"""Load official checkpoints by translating their parameter names to ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from facebench.backbones.weights.load import select_state
from facebench.core.errors import InputError, WeightsError
from facebench.training.models import DiffAE, DiffusionRig, DiffusionRigEmo, LatentDPM, LatentDPMConfig
from facebench.training.models.diffae import FFHQ128, FFHQ256, TINY
from facebench.training.models.diffusionrig import RIG64, RIG256, DiffusionRigConfig
from facebench.training.models.diffusionrig_emo import EMO64, EMO256, DiffusionRigEmoConfig

# Our names on the left, official names on the right. All other words are the same in both.
_BLOCK = {
    "norm_1": "in_layers.0",
    "conv_1": "in_layers.2",
    "from_time": "emb_layers.1",
    "from_code": "cond_emb_layers.1",
    "norm_2": "out_layers.0",
    "conv_2": "out_layers.3",
    "skip": "skip_connection",
    "proj": "proj_out",
    "down": "input_blocks",
    "middle": "middle_block",
    "up": "output_blocks",
    "out_norm": "out.0",
    "out_conv": "out.2",
    "to_code": "out.3",
}
_DIFFAE = {**_BLOCK, "unet": "", "time": "time_embed.time_embed"}
_RIG = {**_BLOCK, "unet": "denoisingUNet", "time": "time_embed"}
_LATENT = {"time": "time_embed", "from_time": "cond_layers.1"}

Official = DiffAE | LatentDPM | DiffusionRig | DiffusionRigEmo
"""Networks with official checkpoints."""
Resnet = Literal["resnet18", "resnet50"]


def official_names(network: Official) -> dict[str, str]:
    """Map the names of our state dict to the official names.

    Example:
        >>> official_names(DiffAE(TINY))["unet.down.1.0.conv_1.weight"]
        'input_blocks.1.0.in_layers.2.weight'
    """
    if isinstance(network, LatentDPM):
        last = f"layers.{network.config.layers - 1}.linear"
        return {
            key: "latent_net." + _translated(key.replace("out.", last + "."), _LATENT)
            for key in network.state_dict()
        }
    table = _RIG if isinstance(network, DiffusionRig | DiffusionRigEmo) else _DIFFAE
    return {
        # The encoder is torchvision's ResNet in both implementations.
        key: key if table is _RIG and key.startswith("encoder.") else _translated(key, table)
        for key in network.state_dict()
    }


def load_official(name: str, state_dict: Mapping[str, Any]) -> nn.Module:
    """Build a network and load weights with the official names strictly.

    Args:
        name: "diffae-ffhq128", "diffae-ffhq256", "diffae-tiny", "latent-dpm", "diffusionrig-256" or
            "diffusionrig-64", where the depth of the encoder (ResNet-18 or 50) is read from the weights; or
            "diffusionrig-codes-SIZE-ENCODER" (DiffusionRig-Emo v2) with SIZE 256 or 64 and ENCODER resnet18 or
            resnet50.
        state_dict: weights by their official names, or an official training checkpoint, whose averaged weights are
            loaded (see `official_state`).

    Returns:
        The network in evaluation mode, on the CPU: a `DiffAE`, `LatentDPM`, `DiffusionRig` or `DiffusionRigEmo`.

    Raises:
        InputError: the network is unknown.
        WeightsError: a key is missing, unexpected or has another shape; the first one is named.
    """
    builders: dict[str, Callable[[Mapping[str, Tensor]], Official]] = {
        "diffae-ffhq128": lambda state: DiffAE(FFHQ128),
        "diffae-ffhq256": lambda state: DiffAE(FFHQ256),
        "diffae-tiny": lambda state: DiffAE(TINY),
        "latent-dpm": lambda state: LatentDPM(LatentDPMConfig()),
        "diffusionrig-256": lambda state: DiffusionRig(_with_depth(RIG256, state)),
        "diffusionrig-64": lambda state: DiffusionRig(_with_depth(RIG64, state)),
        **{name: partial(_emo, name, config) for name, config in _emo_configs().items()},
    }
    if name not in builders:
        raise InputError(f"'{name}' is not an official network. Known: {', '.join(builders)}.")
    state = official_state(name, state_dict)
    with torch.device("meta"):  # skips the initialisation of weights that are replaced below
        network = builders[name](state)
    _load(network, state, name)
    return network.eval()


def official_state(name: str, checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """Extract the weights of one network from an official checkpoint.

    A DiffAE training checkpoint holds raw weights (`model.*`), averaged weights (`ema_model.*`), a batch of noise
    (`x_T`) and, if the latent model was trained, the statistics of z_sem. The averaged weights hold the autoencoder
    and the latent model (`latent_net.*`). A dictionary without the prefix `ema_model.` is returned unchanged.

    Args:
        name: as in `load_official`.
        checkpoint: a state dict, or the checkpoint that wraps one as `state_dict`.

    Returns:
        Tensors by official name, without prefix.

    Raises:
        WeightsError: a training checkpoint holds an unknown key.
    """
    state = _state_of(checkpoint)
    if not any(key.startswith("ema_model.") for key in state):
        return dict(state)
    for key in state:
        if not key.startswith(("ema_model.", "model.")) and key not in {"x_T", "conds_mean", "conds_std"}:
            raise WeightsError(f"{name}: the checkpoint holds '{key}', which no DiffAE checkpoint has.")
    averaged = {k.removeprefix("ema_model."): v for k, v in state.items() if k.startswith("ema_model.")}
    latent = name == "latent-dpm"
    return {key: value for key, value in averaged.items() if key.startswith("latent_net.") == latent}


def latent_statistics(checkpoint: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
    """Read the mean and standard deviation of z_sem from an official latent or classifier checkpoint.

    Returns:
        Two tensors (code_channels,).

    Raises:
        WeightsError: the checkpoint has no statistics.
    """
    state = _state_of(checkpoint)
    for key in ("conds_mean", "conds_std"):
        if key not in state:
            raise WeightsError(f"The checkpoint lacks '{key}': it is not a latent model or classifier.")
    return state["conds_mean"].flatten(), state["conds_std"].flatten()


def _state_of(checkpoint: Mapping[str, Any]) -> Mapping[str, Tensor]:
    return select_state(checkpoint, "the checkpoint", entry="state_dict")


def _translated(key: str, table: Mapping[str, str]) -> str:
    words = (table.get(word, word) for word in key.split("."))
    return ".".join(word for word in words if word)


def _with_depth(config: DiffusionRigConfig, state: Mapping[str, Tensor]) -> DiffusionRigConfig:
    return config.model_copy(update={"encoder": encoder_of(state) or "resnet18"})


def _emo_configs() -> dict[str, DiffusionRigEmoConfig]:
    encoders: tuple[Resnet, ...] = ("resnet18", "resnet50")
    return {
        f"diffusionrig-codes-{config.size}-{encoder}": config.model_copy(update={"encoder": encoder})
        for config in (EMO64, EMO256)
        for encoder in encoders
    }


def _emo(name: str, config: DiffusionRigEmoConfig, state: Mapping[str, Tensor]) -> DiffusionRigEmo:
    """Build a DiffusionRig-Emo v2 after checking the encoder and the width of the codes."""
    encoder = encoder_of(state)
    if encoder is not None and encoder != config.encoder:
        raise WeightsError(
            f"{name}: the weights hold a {encoder}. Use {name.replace(config.encoder, encoder)}."
        )
    width = code_width_of(state)
    needed = config.code_channels + config.shape_channels + config.identity_channels
    if width is not None and width != needed:
        raise WeightsError(
            f"{name}: the U-Net of the weights reads codes of {width} values, this network has {needed} "
            f"({config.code_channels} of the photo, {config.shape_channels} shape, {config.identity_channels} "
            "identity). The weights belong to another version of the network."
        )
    return DiffusionRigEmo(config)


def encoder_of(state: Mapping[str, Tensor]) -> Resnet | None:
    """Return the depth of the encoder in the weights of a rig; None where there is no encoder."""
    if "encoder.layer1.0.conv1.weight" not in state:
        return None
    # Only the bottleneck blocks of ResNet-50 have a third convolution.
    return "resnet50" if "encoder.layer1.0.conv3.weight" in state else "resnet18"


def code_width_of(state: Mapping[str, Tensor]) -> int | None:
    """Return the number of values that modulate the U-Net of a rig: 64, or 314 with shape and identity."""
    weight = state.get("denoisingUNet.input_blocks.1.0.cond_emb_layers.1.weight")
    return None if weight is None or weight.ndim != 2 else int(weight.shape[1])


def _load(network: Official, state: Mapping[str, Tensor], name: str) -> None:
    empty = network.state_dict()
    expected = {official: empty[key].shape for key, official in official_names(network).items()}
    if isinstance(network, LatentDPM):
        # Official checkpoints list this linear layer under two names. In a real checkpoint both hold the same tensor.
        # If they differ, the official code uses the second, and so does this.
        aliases = {key.replace("cond_layers.1", "linear_emb"): shape for key, shape in expected.items()}
        expected = {**expected, **aliases}
    for key, shape in expected.items():
        if key not in state:
            raise WeightsError(f"{name}: the weights lack '{key}'. Is it the checkpoint of another network?")
        if state[key].shape != shape:
            raise WeightsError(
                f"{name}: '{key}' has shape {tuple(state[key].shape)}, the network needs {tuple(shape)}."
            )
    for key in state:
        if key not in expected:
            raise WeightsError(f"{name}: the weights hold '{key}', which the network does not have.")
    copies = {
        key: state[official].detach().to("cpu", empty[key].dtype, copy=True)
        for key, official in official_names(network).items()
    }
    network.load_state_dict(copies, assign=True)
