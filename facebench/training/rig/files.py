"""Trained DiffusionRigs: our model files and the official checkpoints, and the buffers that each belongs to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from facebench.backbones.weights.load import load_checkpoint
from facebench.core.errors import InputError, WeightsError
from facebench.training.engine import model_file
from facebench.training.models import DiffusionRig, DiffusionRigConfig
from facebench.training.models.official import load_official, official_state
from facebench.training.rig.buffers.dataset import About
from facebench.training.rig.buffers.images import ZERO

KIND = "rig"
OFFICIAL_SUFFIXES = (".pt", ".pth", ".ckpt")


@dataclass(frozen=True)
class Trained:
    """A DiffusionRig and what it was trained with.

    Attributes:
        network: in evaluation mode, without gradients, on the processor.
        source: extractor of the buffers that it was trained with.
        space: what its codes mean, "synthface" or "flame".
        brightest: value of `rendered` that was clipped.
    """

    network: DiffusionRig
    source: str
    space: str
    brightest: float

    @property
    def size(self) -> int:
        """Pixels per side."""
        return self.network.config.size

    @property
    def said(self) -> str:
        """In a few words, for messages."""
        return f"buffers of {self.size} pixels from {self.source}"


def open_rig(path: Path) -> Trained:
    """Read a DiffusionRig: a model that `facebench train rig` wrote, or an official checkpoint (.pt).

    Official checkpoints do not say how they were trained; all of them read DECA's buffers.

    Raises:
        InputError: there is no such file.
        WeightsError: it is something else, damaged, or of another architecture.
    """
    if path.suffix in OFFICIAL_SUFFIXES:
        return _official(path)
    model = model_file.read(path, KIND)
    about = model.provenance.get("buffers")
    if not isinstance(about, Mapping):
        raise WeightsError(f"{path}: does not say which buffers it was trained with.")
    network = DiffusionRig(model_file.sizes(DiffusionRigConfig, model.architecture))
    model_file.into(network, model, str(path))
    return Trained(network, about["source"], about["space"], about["brightest"])


def refuse_other_buffers(about: About, trained: Trained, folder: Path | str) -> None:
    """Make sure that a set of buffers is like the one that a model was trained with.

    Raises:
        InputError: another size or source; both are named.
    """
    if (about.size, about.source) != (trained.size, trained.source):
        raise InputError(
            f"{folder} holds {about.said}, but the checkpoint was trained with {trained.said}. "
            "Make the buffers again with the checkpoint's size and source."
        )


def to_conditions(stored: Tensor, brightest: float) -> Tensor:
    """Bytes of a buffer set (n, 9, s, s) as the numbers that a DiffusionRig reads, float32."""
    values = stored.float()
    rendered = values[:, :3] * (brightest / 255)
    normal = (values[:, 3:6] - ZERO) / (ZERO - 1)
    return torch.cat([rendered, normal, values[:, 6:] / 255], dim=1)


def provenance_of(about: About) -> dict[str, Any]:
    """What a model remembers of its buffers."""
    return {
        "source": about.source,
        "space": about.space,
        "size": about.size,
        "brightest": about.brightest,
        "mean_shape": about.mean_shape,
        "weights": dict(about.weights),
    }


def official_name(names: Iterable[str]) -> str:
    """Which official network a checkpoint holds, by the names of its weights: six levels at 256 pixels, four at 64.

    Example:
        >>> official_name(["denoisingUNet.input_blocks.15.0.in_layers.0.weight"])
        'diffusionrig-256'
    """
    deep = any(name.startswith("denoisingUNet.input_blocks.15.") for name in names)
    return "diffusionrig-256" if deep else "diffusionrig-64"


def _official(path: Path) -> Trained:
    if not path.is_file():
        raise InputError(f"There is no checkpoint {path}.")
    content = load_checkpoint(path)
    if not isinstance(content, Mapping):
        raise WeightsError(f"{path}: holds a {type(content).__name__}, no state dict.")
    network = load_official(official_name(official_state(KIND, content)), content)
    assert isinstance(network, DiffusionRig)
    return Trained(network.requires_grad_(False), "deca", "flame", 2.0)
