"""Checkpoints: everything a run needs to go on exactly where it stopped, written whole or not at all.

A checkpoint is a folder of safetensors files and one JSON file. Nothing of it runs code when it is read.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from facebench.core.errors import InputError, WeightsError

STATE = "state.json"


@dataclass
class Snapshot:
    """What a checkpoint holds.

    Attributes:
        step: optimiser steps done.
        tensors: file name (without suffix) to tensors: "model", "average", "optimiser".
        settings: the run's settings, as plain values.
        progress: everything else that is not a tensor: best score, skipped images, schedule.
    """

    step: int
    tensors: dict[str, dict[str, Tensor]]
    settings: dict[str, Any]
    progress: dict[str, Any] = field(default_factory=dict)


def save(folder: Path, snapshot: Snapshot, keep: int) -> Path:
    """Write a checkpoint into `folder`/step-N, then remove the oldest beyond `keep`; the best one stays.

    The files are written under a temporary name, flushed to the disk, and renamed together.

    Raises:
        InputError: the disk is full or not writable; earlier checkpoints are untouched.
    """
    place = folder / f"step-{snapshot.step:08d}"
    partial = folder / f".{place.name}.partial"
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        for name, tensors in snapshot.tensors.items():
            whole = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
            save_file(whole, partial / f"{name}.safetensors")
        state = {"step": snapshot.step, "settings": snapshot.settings, "progress": snapshot.progress}
        (partial / STATE).write_text(json.dumps(state, indent=1), encoding="utf-8")
        _flush(partial)
        shutil.rmtree(place, ignore_errors=True)
        partial.rename(place)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise InputError(
            f"{place}: the checkpoint cannot be written ({error}). Free space and run the same command: "
            f"it goes on from {_name(latest(folder))}."
        ) from None
    best = snapshot.progress.get("best", {}).get("checkpoint")
    for old in _all(folder)[:-keep]:
        if old.name != best:
            shutil.rmtree(old, ignore_errors=True)
    return place


def latest(folder: Path) -> Path | None:
    """The newest whole checkpoint, or None."""
    found = _all(folder)
    return found[-1] if found else None


def load(place: Path) -> Snapshot:
    """Read a checkpoint.

    Raises:
        WeightsError: a file is missing or damaged.
    """
    try:
        state = json.loads((place / STATE).read_text(encoding="utf-8"))
        tensors = {path.stem: load_file(path) for path in sorted(place.glob("*.safetensors"))}
        return Snapshot(int(state["step"]), tensors, state["settings"], state["progress"])
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise WeightsError(
            f"{place}: the checkpoint is damaged ({error}). Remove this folder; the run then goes on from the "
            "checkpoint before it."
        ) from None


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """State of an optimiser as named tensors: "number of the parameter.name of the value"."""
    state = optimiser.state_dict()["state"]
    return {
        f"{number}.{name}": torch.as_tensor(value)
        for number, values in state.items()
        for name, value in values.items()
        if value is not None
    }


def restore_optimiser(optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put the state back that `optimiser_tensors` took."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        number, _, name = key.partition(".")
        state.setdefault(int(number), {})[name] = value
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    for parameter, own in optimiser.state.items():
        for name, value in own.items():
            if value.shape == parameter.shape:
                # Fused Adam reads both in the order of memory, which need not be the order of the file.
                own[name] = torch.empty_like(parameter).copy_(value)


def load_strictly(
    network: nn.Module, tensors: Mapping[str, Tensor], where: str, own: Mapping[str, Tensor] | None = None
) -> None:
    """Load weights whose names and shapes must fit exactly.

    Args:
        network: where to.
        tensors: the weights.
        where: the file, for messages.
        own: the part of the network's state that the file must hold; all of it by default.

    Raises:
        WeightsError: the first missing, misshapen or unexpected key is named.
    """
    own = network.state_dict() if own is None else own
    for key, value in own.items():
        if key not in tensors:
            raise WeightsError(f"{where}: lacks '{key}'. Is it the checkpoint of another architecture?")
        if tensors[key].shape != value.shape:
            raise WeightsError(
                f"{where}: '{key}' has shape {tuple(tensors[key].shape)}, this architecture needs "
                f"{tuple(value.shape)}."
            )
    for key in tensors:
        if key not in own:
            raise WeightsError(f"{where}: holds '{key}', which this architecture does not have.")
    network.load_state_dict(dict(tensors), strict=len(own) == len(network.state_dict()))


def _all(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("step-*") if (path / STATE).is_file())


def _flush(folder: Path) -> None:
    for path in [*folder.iterdir(), folder]:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _name(place: Path | None) -> str:
    return "the beginning" if place is None else place.name
