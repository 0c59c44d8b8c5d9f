"""The optimizer state of stage 1, with whose moments stage 2 may continue, as the public scripts of DiffusionRig do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from facebench.backbones.weights.load import load_checkpoint
from facebench.core.errors import InputError, WeightsError
from facebench.training.engine.checkpoints import OPTIMIZER, Checkpoint
from facebench.training.models import DiffusionRig, DiffusionRigEmo, Rig
from facebench.training.models.official import official_names, official_state

_UNET = "denoisingUNet."
"""Prefix of the parameters that version 1 trains."""
Moments = dict[str, dict[str, Tensor]]
"""Values of the optimizer by name of the parameter."""


def moments_of_stage_1(path: Path, checkpoint: Path, network: Rig) -> Moments:
    """Read the optimizer state of stage 1 by the names of our parameters.

    Args:
        path: `optNNNNNN.pt` of the public scripts, or the folder of a run or of a checkpoint of facebench.
        checkpoint: the model of stage 1, whose order of parameters numbers the values of `optNNNNNN.pt`.
        network: the network of stage 2.

    Raises:
        InputError: the file or checkpoint does not exist.
        WeightsError: the file holds no optimizer state, or that of another network.
    """
    if path.is_dir():
        numbered, names = _of_facebench(path), [name for name, _ in network.named_parameters()]
    else:
        numbered = _of_official(path)
        names = _official_order(checkpoint, network, len(numbered))
    if len(numbered) != len(names):
        raise WeightsError(
            f"{path}: holds the state of {len(numbered)} parameters, the network has {len(names)}. Give the optimizer "
            f"state of {checkpoint}."
        )
    shapes = {name: parameter.shape for name, parameter in network.named_parameters()}
    moments = {}
    for number, name in enumerate(names):
        values = numbered.get(number, {})
        if not {"step", "exp_avg", "exp_avg_sq"} <= values.keys() or values["exp_avg"].shape != shapes[name]:
            raise WeightsError(f"{path}: parameter {number} does not fit '{name}' {tuple(shapes[name])}.")
        moments[name] = {key: values[key] for key in ("step", "exp_avg", "exp_avg_sq")}
    return moments


def numbered_tensors(
    moments: Moments, network: nn.Module, trained: Sequence[nn.Parameter]
) -> dict[str, Tensor]:
    """Return the state of the trained parameters, named as in checkpoints: "number of the parameter.name"."""
    number = {id(parameter): place for place, parameter in enumerate(trained)}
    return {
        f"{number[id(parameter)]}.{key}": value
        for name, parameter in network.named_parameters()
        if id(parameter) in number and name in moments
        for key, value in moments[name].items()
    }


def _of_facebench(folder: Path) -> dict[int, dict[str, Tensor]]:
    newest = folder if (folder / "state.json").is_file() else Checkpoint.latest(folder / "checkpoints")
    if newest is None:
        raise InputError(
            f"{folder} holds no checkpoint. Give the folder of a run, or one of its checkpoints."
        )
    numbered: dict[int, dict[str, Tensor]] = {}
    for key, value in Checkpoint.load(newest).tensors.get(OPTIMIZER, {}).items():
        number, _, name = key.partition(".")
        numbered.setdefault(int(number), {})[name] = value
    return numbered


def _of_official(path: Path) -> dict[int, dict[str, Tensor]]:
    if not path.is_file():
        raise InputError(f"The optimizer state {path} does not exist.")
    content: Any = load_checkpoint(path)
    state = content.get("state") if isinstance(content, Mapping) else None
    if not isinstance(state, Mapping) or not all(isinstance(values, Mapping) for values in state.values()):
        raise WeightsError(f"{path}: holds no optimizer state. Give optNNNNNN.pt.")
    return {
        int(number): {str(key): torch.as_tensor(value) for key, value in values.items() if value is not None}
        for number, values in state.items()
    }


def _official_order(checkpoint: Path, network: Rig, count: int) -> list[str]:
    """Return the names of our parameters in the order of the official ones: all, or those of the U-Net (version 1)."""
    if checkpoint.suffix not in (".pt", ".pth", ".ckpt"):
        raise InputError(
            f"The optimizer state of a public script belongs to its model (.pt), not to {checkpoint}."
        )
    assert isinstance(network, DiffusionRig | DiffusionRigEmo)
    ours = {official: name for name, official in official_names(network).items()}
    parameters = {name for name, _ in network.named_parameters()}
    order = [key for key in official_state("rig", load_checkpoint(checkpoint)) if ours.get(key) in parameters]
    unet = [key for key in order if key.startswith(_UNET)]
    return [ours[key] for key in (unet if count == len(unet) else order)]
