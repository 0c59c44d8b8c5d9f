"""Trained models as one safetensors file: weights, and in its header what they are and where they come from."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from facebench.core.errors import InputError, WeightsError
from facebench.core.version import __version__

HEADER = "facebench"


@dataclass(frozen=True)
class ModelFile:
    """A model on disk.

    Attributes:
        kind: what was trained: "diffae", "ddim", "latent-dpm", "recognition", ...
        tensors: weights by name.
        architecture: arguments that build the network.
        provenance: settings of the training, steps, data, seed.
    """

    kind: str
    tensors: dict[str, Tensor]
    architecture: dict[str, Any]
    provenance: dict[str, Any] = field(default_factory=dict)


def write(path: Path, model: ModelFile, *, half: bool = False) -> None:
    """Write a model; the file appears whole or not at all.

    Args:
        path: the file, normally `model.safetensors`.
        model: what to write.
        half: store weights in float16, half the size.

    Raises:
        InputError: the disk is full or not writable.
    """
    tensors = {
        name: (value.half() if half and value.is_floating_point() else value)
        .detach()
        .cpu()
        .contiguous()
        .clone()
        for name, value in model.tensors.items()
    }
    about = {
        "kind": model.kind,
        "architecture": model.architecture,
        "provenance": {**model.provenance, "facebench": __version__},
    }
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, partial, metadata={HEADER: json.dumps(about)})
        partial.chmod(0o644)  # the library writes files that only their owner may read
        partial.replace(path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: the model cannot be written ({error}). Free some space.") from None


def read(path: Path, kind: str | None = None) -> ModelFile:
    """Read a model in float32.

    Args:
        path: the file, or the folder of a training run that holds `model.safetensors`.
        kind: what it must be, or None for anything.

    Raises:
        InputError: there is no such file.
        WeightsError: it is no model of facebench, damaged, or of another kind.
    """
    path = path / "model.safetensors" if path.is_dir() else path
    if not path.is_file():
        raise InputError(
            f"There is no model {path}. Give a model.safetensors, or the folder of a finished run."
        )
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {}).get(HEADER, "null"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(f"{path}: is not a readable safetensors file ({error}).") from None
    if not isinstance(about, dict) or not {"kind", "architecture", "provenance"} <= about.keys():
        raise WeightsError(
            f"{path}: was not written by `facebench train`; its header says nothing of a model."
        )
    if kind is not None and about["kind"] != kind:
        raise WeightsError(f"{path}: is a model of the kind '{about['kind']}', '{kind}' is needed.")
    whole = {name: value.float() if value.is_floating_point() else value for name, value in tensors.items()}
    return ModelFile(about["kind"], whole, about["architecture"], about["provenance"])


def plain(config: Any) -> dict[str, Any]:
    """A dataclass of sizes as plain values for the header."""
    return {
        name: list(value) if isinstance(value, tuple) else value for name, value in asdict(config).items()
    }


def sizes(kind: type[Any], architecture: dict[str, Any]) -> Any:
    """Undo `plain`."""
    return kind(**{name: tuple(v) if isinstance(v, list) else v for name, v in architecture.items()})


def into(network: nn.Module, model: ModelFile, where: str) -> nn.Module:
    """Load the weights strictly; the network comes back in evaluation mode.

    Raises:
        WeightsError: the first difference is named.
    """
    from facebench.training.engine.checkpoints import load_strictly

    load_strictly(network, model.tensors, where)
    return network.eval().requires_grad_(False)


def device_of(name: str) -> torch.device:
    """The device to run on: "auto" takes CUDA, then Apple's, then the processor."""
    if name != "auto":
        return torch.device(name)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
