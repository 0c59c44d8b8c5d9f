"""Open trained models: files of facebench, folders of runs, and official checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from facebench.backbones.weights import resolve
from facebench.backbones.weights.load import load_checkpoint
from facebench.core.errors import InputError, WeightsError
from facebench.training.engine import model_file
from facebench.training.engine.checkpoints import load_strictly
from facebench.training.engine.model_file import ModelFile
from facebench.training.models import (
    CompactAutoencoder,
    CompactAutoencoderConfig,
    CompactRig,
    CompactRigConfig,
    DDIMConfig,
    DiffAE,
    DiffAEConfig,
    DiffusionAutoencoder,
    DiffusionRig,
    DiffusionRigConfig,
    DiffusionRigEmo,
    DiffusionRigEmoConfig,
    LatentDPM,
    LatentDPMConfig,
    Rig,
    UNet,
    build_ddim,
)
from facebench.training.models.building import build_for
from facebench.training.models.config import NetworkConfig
from facebench.training.models.official import latent_statistics, load_official, official_state

OFFICIAL_SUFFIXES = (".ckpt", ".pt", ".pth")
LIGHTNING = ("pytorch_lightning.", "lightning.")
"""Prefixes of the classes in checkpoints of PyTorch Lightning that are read as empty placeholders."""
FFHQ256, FFHQ256_DIRECTIONS = "ffhq256-autoenc", "ffhq256-autoenc-cls"
"""Weights of the official autoencoder of photographs and of its directions, by their names in the registry."""
NAMED = ("diffae-64-synthface", "directions-64-synthface", FFHQ256, FFHQ256_DIRECTIONS)
"""Weights in the registry that are opened by their names."""
_OFFICIAL_DIFFAE = ("diffae-ffhq256", "diffae-ffhq128", "diffae-tiny")

C = TypeVar("C", bound=NetworkConfig)


def located(path: Path) -> Path:
    """Return the path itself, or the file of the weights of this name after checking its sha256.

    Raises:
        InputError: neither exists.
        WeightsError: the file of these weights is damaged, or missing; then the message says how to obtain it.
    """
    if path.exists():
        return path
    if str(path) in NAMED:
        return resolve(str(path)).path
    raise InputError(
        f"The model {path} does not exist. Give a file, a run's folder, or one of {', '.join(NAMED)}."
    )


def open_autoencoder(path: Path, device: torch.device | str = "cpu") -> DiffusionAutoencoder:
    """Open a diffusion autoencoder in evaluation mode.

    Args:
        path: `model.safetensors`, the folder of a finished run, an official DiffAE checkpoint (`last.ckpt`), whose
            architecture is determined from its weights, or the name of such weights, as `ffhq256-autoenc`.
        device: device of the network.

    Raises:
        InputError: the file does not exist.
        WeightsError: the file holds another kind of model, code, or weights that do not fit.
    """
    path = located(path)
    if path.suffix in OFFICIAL_SUFFIXES:
        network: DiffusionAutoencoder = _official_diffae(path)
    else:
        model = model_file.read(path)
        network = _build_autoencoder(model, path)
        model_file.load_weights(network, model, str(path))
    return network.eval().requires_grad_(False).to(device)


def load_encoder(network: CompactAutoencoder, path: Path, *, needs_decoder: bool = True) -> None:
    """Load the semantic encoder and the coarse decoder of `facebench train encoder` into a compact autoencoder.

    Args:
        network: the autoencoder.
        path: the file, or the folder of the run.
        needs_decoder: refuse a file without a decoder where the autoencoder has one.

    Raises:
        InputError: the file does not exist.
        WeightsError: the file holds another kind of model, or an encoder of other sizes.
    """
    model = model_file.read(located(path), "semantic-encoder")
    parts = nn.ModuleDict({"encoder": network.encoder})
    tensors = dict(model.tensors)
    has_decoder = any(name.startswith("decoder.") for name in tensors)
    if network.decoder is not None and (needs_decoder or has_decoder):
        parts["decoder"] = network.decoder
    else:
        tensors = {name: value for name, value in tensors.items() if name.startswith("encoder.")}
    load_strictly(parts, tensors, str(path))


def open_ddim(path: Path, device: torch.device | str = "cpu") -> tuple[UNet, int]:
    """Open an unconditional diffusion model; return it with the side of its images in pixels."""
    model = model_file.read(path, "ddim")
    config = _config(DDIMConfig, model, path)
    network = build_for(lambda: build_ddim(config), model.tensors, str(path))
    model_file.load_weights(network, model, str(path))
    return network.to(device), config.size


def open_latent(path: Path, device: torch.device | str = "cpu") -> tuple[LatentDPM, Tensor, Tensor]:
    """Open a latent model; return it with the mean and standard deviation of its training codes."""
    if path.suffix in OFFICIAL_SUFFIXES:
        state = checkpoint(path)
        network = load_official("latent-dpm", state)
        assert isinstance(network, LatentDPM)
        mean, std = latent_statistics(state)
    else:
        model = model_file.read(path, "latent-dpm")
        tensors = dict(model.tensors)
        try:
            mean, std = tensors.pop("codes.mean"), tensors.pop("codes.std")
        except KeyError as error:
            raise WeightsError(f"{path}: lacks {error}; it was not written by `facebench train`.") from None
        config = _config(LatentDPMConfig, model, path)
        network = build_for(lambda: LatentDPM(config), tensors, str(path))
        model_file.load_weights(network, ModelFile(model.kind, tensors, {}), str(path))
    network = network.eval().requires_grad_(False).to(device)
    return network, mean.to(device), std.to(device)


def open_rig_model(path: Path) -> tuple[Rig, Mapping[str, Any]]:
    """Open a rig of `facebench train` in evaluation mode; return it with the provenance in its header.

    Raises:
        InputError: the file does not exist.
        WeightsError: the file holds another kind of model, is damaged, or has another architecture.
    """
    model = model_file.read(path)
    network = _build_rig(model, path)
    model_file.load_weights(network, model, str(path))
    return network, model.provenance


def checkpoint(path: Path) -> Mapping[str, Any]:
    """Read the weights of an official checkpoint without running code in it.

    Raises:
        InputError: the file does not exist.
        WeightsError: it is damaged or holds code.
    """
    if not path.is_file():
        raise InputError(f"The checkpoint {path} does not exist.")
    content: Mapping[str, Any] = load_checkpoint(path, LIGHTNING)
    return content


def _build_autoencoder(model: ModelFile, path: Path) -> DiffusionAutoencoder:
    # Older files of compact autoencoders have the kind "diffae".
    compact = model.kind == "diffae" and DiffAEConfig.uses_removed_keys(model.architecture)
    if compact or model.kind == "compact-autoencoder":
        settings = _config(CompactAutoencoderConfig, model, path)
        return build_for(lambda: CompactAutoencoder(settings), model.tensors, str(path))
    if model.kind == "diffae":
        config = _config(DiffAEConfig, model, path)
        return build_for(lambda: DiffAE(config), model.tensors, str(path))
    raise _unexpected_kind(model, path, "diffae", "compact-autoencoder")


def _build_rig(model: ModelFile, path: Path) -> Rig:
    # Older files of compact rigs have the kind "rig".
    compact = model.kind == "rig" and DiffusionRigConfig.uses_removed_keys(model.architecture)
    if compact or model.kind == "compact-rig":
        settings = _config(CompactRigConfig, model, path)
        return build_for(lambda: CompactRig(settings), model.tensors, str(path))
    if model.kind == "rig":
        config = _config(DiffusionRigConfig, model, path)
        return build_for(lambda: DiffusionRig(config), model.tensors, str(path))
    if model.kind == "rig-emo":
        emo = _config(DiffusionRigEmoConfig, model, path)
        return build_for(lambda: DiffusionRigEmo(emo), model.tensors, str(path))
    raise _unexpected_kind(model, path, "rig", "rig-emo", "compact-rig")


def _config(kind: type[C], model: ModelFile, path: Path) -> C:
    try:
        return kind.model_validate(model.architecture)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise WeightsError(
            f"{path}: the architecture in its header is not valid ({key}: {first['msg'].lower()}). Was it written by "
            "a newer version of facebench?"
        ) from None


def _unexpected_kind(model: ModelFile, path: Path, *kinds: str) -> WeightsError:
    expected = " or ".join(f"'{kind}'" for kind in kinds)
    return WeightsError(f"{path}: is a model of the kind '{model.kind}', {expected} is needed.")


def _official_diffae(path: Path) -> DiffAE:
    state = checkpoint(path)
    problems: list[str] = []
    for name in _OFFICIAL_DIFFAE:
        try:
            network: nn.Module = load_official(name, official_state(name, state))
        except WeightsError as error:
            problems.append(f"{name}: {error}")
        else:
            assert isinstance(network, DiffAE)
            return network
    raise WeightsError(f"{path}: is none of the official diffusion autoencoders. {' '.join(problems)}")
