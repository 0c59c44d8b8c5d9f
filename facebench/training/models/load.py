"""Opens trained models: a file of facebench, the folder of a run, or an official checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from facebench.backbones.weights import resolve
from facebench.backbones.weights.load import load_checkpoint
from facebench.backbones.weights.registry import entries
from facebench.core.errors import InputError, WeightsError
from facebench.training.engine import model_file
from facebench.training.engine.checkpoints import load_strictly
from facebench.training.models import DiffAE, DiffAEConfig, LatentDPM, LatentDPMConfig, UNet
from facebench.training.models.official import load_official, official_state

OFFICIAL_SUFFIXES = (".ckpt", ".pt", ".pth")
_OFFICIAL_DIFFAE = ("diffae-ffhq256", "diffae-ffhq128", "diffae-tiny")


def located(path: Path) -> Path:
    """The file itself, or the shipped model of this name, whose sha256 is checked.

    Raises:
        InputError: neither is there.
        WeightsError: the shipped file is damaged.
    """
    if path.exists():
        return path
    shipped = [name for name, entry in entries().items() if entry.shipped]
    if str(path) in shipped:
        return resolve(str(path)).path
    raise InputError(
        f"There is no model {path}. Give a file, a run's folder, or a shipped model: {', '.join(shipped)}."
    )


def open_diffae(path: Path, device: torch.device | str = "cpu") -> DiffAE:
    """Open a diffusion autoencoder in evaluation mode.

    Args:
        path: `model.safetensors`, the folder of a finished run, or an official DiffAE checkpoint
            (`last.ckpt`; which network it holds is read off its weights).
        device: where it will run.

    Raises:
        InputError: there is no such file.
        WeightsError: it holds another kind of model, code, or weights that fit none.
    """
    path = located(path)
    if path.suffix in OFFICIAL_SUFFIXES:
        network = _official(path)
    else:
        found = model_file.read(path, "diffae")
        network = DiffAE(model_file.sizes(DiffAEConfig, found.architecture))
        model_file.into(network, found, str(path))
    return network.eval().requires_grad_(False).to(device)


def begin_with_encoder(network: DiffAE, path: Path, *, needs_decoder: bool = True) -> None:
    """Give a diffusion autoencoder the semantic encoder, and the decoder, that `facebench train encoder` wrote.

    Args:
        network: the autoencoder.
        path: the file, or the folder of the run.
        needs_decoder: whether a file without a decoder is refused, where the autoencoder has one.

    Raises:
        InputError: there is no such file.
        WeightsError: it holds another kind of model, or an encoder of other sizes.
    """
    found = model_file.read(located(path), "semantic-encoder")
    parts = nn.ModuleDict({"encoder": network.encoder})
    tensors = dict(found.tensors)
    brings_decoder = any(name.startswith("decoder.") for name in tensors)
    if network.decoder is not None and (needs_decoder or brings_decoder):
        parts["decoder"] = network.decoder
    else:
        tensors = {name: value for name, value in tensors.items() if name.startswith("encoder.")}
    load_strictly(parts, tensors, str(path))


def open_ddim(path: Path, device: torch.device | str = "cpu") -> tuple[UNet, int]:
    """Open a plain diffusion model; returns it with the side of its images in pixels."""
    found = model_file.read(path, "ddim")
    sizes: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in found.architecture.items()}
    network = UNet(**sizes)
    model_file.into(network, found, str(path))
    return network.to(device), int(sizes["size"])


def open_latent(path: Path, device: torch.device | str = "cpu") -> tuple[LatentDPM, Tensor, Tensor]:
    """Open a latent model; returns it with the mean and standard deviation of the codes it was trained on."""
    if path.suffix in OFFICIAL_SUFFIXES:
        from facebench.training.models.official import latent_statistics

        state = checkpoint(path)
        network = load_official("latent-dpm", state)
        assert isinstance(network, LatentDPM)
        mean, std = latent_statistics(state)
    else:
        found = model_file.read(path, "latent-dpm")
        tensors = dict(found.tensors)
        try:
            mean, std = tensors.pop("codes.mean"), tensors.pop("codes.std")
        except KeyError as error:
            raise WeightsError(f"{path}: lacks {error}; it was not written by `facebench train`.") from None
        network = LatentDPM(model_file.sizes(LatentDPMConfig, found.architecture))
        model_file.into(network, model_file.ModelFile(found.kind, tensors, {}), str(path))
    network = network.eval().requires_grad_(False).to(device)
    return network, mean.to(device), std.to(device)


def checkpoint(path: Path) -> Mapping[str, Any]:
    """The weights in an official checkpoint; code in it is refused, not run.

    Raises:
        InputError: there is no such file.
        WeightsError: it is damaged or holds code.
    """
    if not path.is_file():
        raise InputError(f"There is no checkpoint {path}.")
    content: Mapping[str, Any] = load_checkpoint(path)
    return content


def _official(path: Path) -> DiffAE:
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
