"""Checkpoints: folders of safetensors files and one JSON file, written atomically; reading them runs no code."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, Field
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from facebench.core.errors import InputError, WeightsError
from facebench.core.json_files import parse_json

STATE = "state.json"
MODEL, EMA, OPTIMIZER = "model", "ema", "optimizer"
_OLD_NAMES = {"average": EMA, "optimiser": OPTIMIZER}
"""Names of tensor files that older versions of facebench wrote."""


class _State(BaseModel):
    """Content of state.json."""

    step: int = Field(ge=0, lt=2**53)
    settings: dict[str, Any]
    progress: dict[str, Any]


@dataclass
class Checkpoint:
    """State of a training run after a step.

    Attributes:
        step: number of optimizer steps done.
        tensors: tensors of each file: `MODEL`, `EMA` and `OPTIMIZER`.
        settings: settings of the run, as plain values.
        progress: all other state: best metric, skipped images, state of the task, scale of the loss.
    """

    step: int
    tensors: dict[str, dict[str, Tensor]]
    settings: dict[str, Any]
    progress: dict[str, Any] = field(default_factory=dict)

    @staticmethod
    def latest(folder: Path) -> Path | None:
        """Return the newest complete checkpoint in a folder, or None."""
        complete = _complete(folder)
        return complete[-1] if complete else None

    @classmethod
    def load(cls, path: Path) -> Checkpoint:
        """Read a checkpoint.

        Raises:
            WeightsError: a file is missing or damaged.
        """
        try:
            state = _State.model_validate(parse_json((path / STATE).read_text(encoding="utf-8")))
            tensors = {
                _OLD_NAMES.get(file.stem, file.stem): load_file(file)
                for file in sorted(path.glob("*.safetensors"))
            }
            return cls(state.step, tensors, state.settings, state.progress)
        except Exception as error:  # readers raise exceptions of any type on damaged files
            problem = " ".join(str(error).split())[:200]
            raise WeightsError(
                f"{path}: the checkpoint is damaged ({problem}). Remove this folder; the run then resumes from the "
                "checkpoint before it."
            ) from None

    def save(self, folder: Path, keep: int) -> Path:
        """Write `folder`/step-N, then remove old checkpoints.

        The files are written to a temporary folder, flushed to disk, and renamed together.

        Args:
            folder: folder of all checkpoints of the run.
            keep: number of recent checkpoints that stay; the best one stays in addition.

        Raises:
            InputError: the disk is full or not writable; earlier checkpoints are unchanged.
        """
        path = folder / f"step-{self.step:08d}"
        temporary, replaced = folder / f".{path.name}.partial", folder / f".{path.name}.replaced"
        try:
            _remove_temporaries(folder)
            temporary.mkdir(parents=True)
            for name, tensors in self.tensors.items():
                on_cpu = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
                save_file(on_cpu, temporary / f"{name}.safetensors")
            state = {"step": self.step, "settings": self.settings, "progress": self.progress}
            (temporary / STATE).write_text(json.dumps(state, indent=1), encoding="utf-8")
            _flush_to_disk(temporary)
            if path.exists():
                path.rename(replaced)
            temporary.rename(path)
        except (OSError, SafetensorError) as error:
            shutil.rmtree(temporary, ignore_errors=True)
            newest = self.latest(folder)
            raise InputError(
                f"{path}: the checkpoint cannot be written ({error}). Free space and run the same command: it "
                f"resumes from {'the beginning' if newest is None else newest.name}."
            ) from None
        shutil.rmtree(replaced, ignore_errors=True)
        best = self.progress.get("best", {}).get("checkpoint")
        for old in _complete(folder)[:-keep]:
            if old.name != best:
                shutil.rmtree(old, ignore_errors=True)
        return path


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the state of an optimizer as tensors named "number of the parameter.name of the value"."""
    state = optimizer.state_dict()["state"]
    return {
        f"{number}.{name}": torch.as_tensor(value)
        for number, values in state.items()
        for name, value in values.items()
        if value is not None
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Restore the state that `optimizer_tensors` returned."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        number, _, name = key.partition(".")
        state.setdefault(int(number), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    for parameter, values in optimizer.state.items():
        for name, value in values.items():
            if value.shape == parameter.shape:
                # Fused Adam expects the memory format of the parameter.
                values[name] = torch.empty_like(parameter).copy_(value)


def load_strictly(
    network: nn.Module,
    tensors: Mapping[str, Tensor],
    where: str,
    expected: Mapping[str, Tensor] | None = None,
) -> None:
    """Load weights whose names and shapes must match exactly.

    Args:
        network: network to load into.
        tensors: the weights.
        where: file name for messages.
        expected: part of the network's state that the file must hold; all of it by default.

    Raises:
        WeightsError: names the first missing, misshapen or unexpected key.
    """
    expected = network.state_dict() if expected is None else expected
    check_shapes(tensors, expected, where)
    network.load_state_dict(dict(tensors), strict=len(expected) == len(network.state_dict()))


def check_shapes(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], where: str) -> None:
    """Compare names and shapes of weights.

    Raises:
        WeightsError: names the first missing, misshapen or unexpected key.
    """
    for key, value in expected.items():
        if key not in tensors:
            raise WeightsError(f"{where}: lacks '{key}'. Is it the checkpoint of another architecture?")
        if tensors[key].shape != value.shape:
            raise WeightsError(
                f"{where}: '{key}' has shape {tuple(tensors[key].shape)}, this architecture needs "
                f"{tuple(value.shape)}."
            )
    for key in tensors:
        if key not in expected:
            raise WeightsError(f"{where}: holds '{key}', which this architecture does not have.")


def _complete(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("step-*") if (path / STATE).is_file())


def _remove_temporaries(folder: Path) -> None:
    """Remove what killed runs left behind; a checkpoint without its successor is put back."""
    for path in folder.glob(".step-*.replaced"):
        original = folder / path.name.removeprefix(".").removesuffix(".replaced")
        if original.exists():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.rename(original)
    for path in folder.glob(".step-*.partial"):
        shutil.rmtree(path, ignore_errors=True)


def _flush_to_disk(folder: Path) -> None:
    for path in [*folder.iterdir(), folder]:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
