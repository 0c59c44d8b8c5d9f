"""Model files: safetensors with the architecture and the provenance of the model in the header."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from facebench.backbones.weights.reading import reading
from facebench.core.errors import InputError, WeightsError
from facebench.core.files import atomic_path
from facebench.core.json_files import parse_json
from facebench.core.version import __version__

HEADER = "facebench"


class _Header(BaseModel):
    """Content of the header."""

    kind: str
    architecture: dict[str, Any]
    provenance: dict[str, Any]


@dataclass(frozen=True)
class ModelFile:
    """Content of a model file.

    Attributes:
        kind: kind of the model: "diffae", "ddim", "latent-dpm", "recognition", ...
        tensors: weights by name.
        architecture: arguments of the network's constructor.
        provenance: settings and number of steps of the training.
    """

    kind: str
    tensors: dict[str, Tensor]
    architecture: dict[str, Any]
    provenance: dict[str, Any] = field(default_factory=dict)


def write(path: Path, model: ModelFile, *, half: bool = False) -> None:
    """Write a model file atomically.

    Args:
        path: path of the file, normally `model.safetensors`.
        model: the model.
        half: store weights in float16, which halves the size.

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
    header = {
        "kind": model.kind,
        "architecture": model.architecture,
        "provenance": {**model.provenance, "facebench": __version__},
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as temporary:
            save_file(tensors, temporary, metadata={HEADER: json.dumps(header)})
            temporary.chmod(0o644)  # safetensors makes files readable by their owner only
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: the model cannot be written ({error}). Free some space.") from None


def read(path: Path, kind: str | None = None) -> ModelFile:
    """Read a model file; weights are converted to float32.

    Args:
        path: the file, or the folder of a training run that holds `model.safetensors`.
        kind: expected kind; None accepts any.

    Raises:
        InputError: the file does not exist.
        WeightsError: the file is damaged, was not written by facebench, or is of another kind.
    """
    path = path / "model.safetensors" if path.is_dir() else path
    if not path.is_file():
        raise InputError(
            f"The model {path} does not exist. Give a model.safetensors, or the folder of a finished run."
        )
    with reading(path, "a safetensors file"), safe_open(path, framework="pt") as file:
        text = (file.metadata() or {}).get(HEADER, "null")
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        tensors = {
            name: value.float() if value.is_floating_point() else value for name, value in tensors.items()
        }
    try:
        header = _Header.model_validate(parse_json(text))
    except ValueError:
        raise WeightsError(
            f"{path}: was not written by `facebench train`; its header does not describe a model."
        ) from None
    if kind is not None and header.kind != kind:
        raise WeightsError(f"{path}: is a model of the kind '{header.kind}', '{kind}' is needed.")
    return ModelFile(header.kind, tensors, header.architecture, header.provenance)


def load_weights(network: nn.Module, model: ModelFile, where: str) -> nn.Module:
    """Load the weights of a model file strictly; return the network, frozen and in evaluation mode.

    Raises:
        WeightsError: names the first difference.
    """
    from facebench.training.engine.checkpoints import load_strictly

    load_strictly(network, model.tensors, where)
    return network.eval().requires_grad_(False)


def device_of(name: str) -> torch.device:
    """Return a device; "auto" prefers CUDA, then MPS, then the CPU."""
    if name != "auto":
        return torch.device(name)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
