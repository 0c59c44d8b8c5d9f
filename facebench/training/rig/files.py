"""Trained DiffusionRigs, as facebench models and official checkpoints, and the buffers they were trained with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from facebench.backbones.weights.load import load_checkpoint
from facebench.core.errors import InputError, WeightsError
from facebench.training.models import DiffusionRig, DiffusionRigEmo, Rig
from facebench.training.models.load import open_rig_model
from facebench.training.models.official import code_width_of, encoder_of, load_official, official_state
from facebench.training.rig.buffers.dataset import About
from facebench.training.rig.buffers.images import ZERO

KIND = "rig"
OFFICIAL_SUFFIXES = (".pt", ".pth", ".ckpt")
PHOTO_CODE = 64
"""Values of the encoder's code in official checkpoints."""


@dataclass(frozen=True)
class Trained:
    """Trained DiffusionRig.

    Attributes:
        network: network in evaluation mode, without gradients, on the CPU.
        source: extractor of the buffers it was trained with.
        space: space of the extractor's codes, "synthface" or "flame".
        brightest: value of `rendered` that byte 255 of the buffers represents.
        mean_shape: whether the buffers had the mean shape of an album.
        recorded: whether the model records its buffers; official checkpoints do not.
    """

    network: Rig
    source: str
    space: str
    brightest: float
    mean_shape: bool = False
    recorded: bool = True

    @property
    def size(self) -> int:
        """Pixels per side."""
        return self.network.config.size

    @property
    def summary(self) -> str:
        """Size and source of the buffers, for messages."""
        return f"buffers of {self.size} pixels from {self.source}"


def open_rig(path: Path) -> Trained:
    """Open a model that `facebench train rig` wrote, or an official checkpoint (.pt).

    Official checkpoints do not record their training. All of them were trained with DECA's buffers.

    Raises:
        InputError: the file does not exist.
        WeightsError: the file is damaged, or holds another kind of model or architecture.
    """
    if path.suffix in OFFICIAL_SUFFIXES:
        return _open_official(path)
    network, provenance = open_rig_model(path)
    buffers = provenance.get("buffers")
    if not isinstance(buffers, Mapping) or not {"source", "space", "brightest"} <= buffers.keys():
        raise WeightsError(f"{path}: does not record the buffers of its training.")
    mean_shape = bool(buffers.get("mean_shape", False))
    return Trained(network, buffers["source"], buffers["space"], buffers["brightest"], mean_shape)


def refuse_other_buffers(about: About, trained: Trained, folder: Path | str) -> None:
    """Check that a set of buffers has the size and, where the model records it, the source of its training.

    Raises:
        InputError: size or source differ.
    """
    other_source = trained.recorded and about.source != trained.source
    if about.size != trained.size or other_source:
        raise InputError(
            f"{folder} holds {about.summary}, but the checkpoint was trained with {trained.summary}. "
            "Make the buffers again with the checkpoint's size and source."
        )


def to_conditions(stored: Tensor, brightest: float) -> Tensor:
    """Convert the bytes of a buffer set (n, 9, s, s) to the float32 input of a DiffusionRig; floats stay.

    rendered = brightest · byte / 255,   normal = (byte − 128) / 127,   albedo = byte / 255
    """
    if stored.is_floating_point():
        return stored.float()
    values = stored.float()
    rendered = values[:, :3] * (brightest / 255)
    normal = (values[:, 3:6] - ZERO) / (ZERO - 1)
    return torch.cat([rendered, normal, values[:, 6:] / 255], dim=1)


def provenance_of(about: About) -> dict[str, Any]:
    """Describe a set of buffers for the provenance of a model."""
    return {
        "source": about.source,
        "space": about.space,
        "size": about.size,
        "brightest": about.brightest,
        "mean_shape": about.mean_shape,
        "weights": dict(about.weights),
    }


def official_name(state: Mapping[str, Tensor]) -> str:
    """Identify an official network by its parameter names: six levels at 256 pixels, four at 64.

    Args:
        state: weights by name, as `modelNNNNNN.pt` holds them.

    Returns:
        A name of `load_official`. A U-Net with codes wider than 64 values is a DiffusionRig-Emo v2.

    Example:
        >>> official_name({"denoisingUNet.input_blocks.15.0.in_layers.0.weight": torch.zeros(1)})
        'diffusionrig-256'
    """
    size = 256 if any(name.startswith("denoisingUNet.input_blocks.15.") for name in state) else 64
    width = code_width_of(state)
    if width is not None and width > PHOTO_CODE:
        return f"diffusionrig-codes-{size}-{encoder_of(state) or 'resnet18'}"
    return f"diffusionrig-{size}"


def _open_official(path: Path) -> Trained:
    if not path.is_file():
        raise InputError(f"The checkpoint {path} does not exist.")
    content = load_checkpoint(path)
    if not isinstance(content, Mapping):
        raise WeightsError(f"{path}: holds a {type(content).__name__}, not a state dict.")
    network = load_official(official_name(official_state(KIND, content)), content)
    assert isinstance(network, DiffusionRig | DiffusionRigEmo)
    return Trained(network.requires_grad_(False), "deca", "flame", 2.0, recorded=False)
