"""Training of the compact autoencoder; the presets are diffae-64-synthface and diffae-64-personal."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
from pydantic import AliasChoices, Field
from torch import Tensor, nn

from facebench.core.errors import InputError
from facebench.training import losses
from facebench.training.data.sources import open_faces
from facebench.training.diffusion import q_sample, timestep_weight, x_0_from_eps
from facebench.training.engine.checkpoints import load_strictly
from facebench.training.models import CompactAutoencoder, CompactAutoencoderConfig, DiffusionAutoencoder
from facebench.training.models.load import load_encoder, open_autoencoder
from facebench.training.tasks.autoencoder import AutoencoderSettings, AutoencoderTask

CENTER_STD = 0.2
"""Standard deviation of the Gaussian of `center_weight`, relative to the side of the image."""


class CompactAutoencoderSettings(AutoencoderSettings):
    """Settings of compact autoencoder training."""

    model: CompactAutoencoderConfig
    encoder: Path | None = None
    """Model of `facebench train encoder` that provides the initial semantic encoder and coarse decoder."""
    freeze_encoder: bool = False
    """Train only the U-Net."""
    weighting: Literal["simple", "p2", "v"] = "simple"
    """Weight of the squared error of eps at each timestep: `simple` is 1; `p2` favours noisy timesteps (Choi et al.
    2022); `v` gives the error of v."""
    center_weight: float = Field(1.0, ge=1, validation_alias=AliasChoices("center_weight", "focus"))
    """Weight of the error in the centre of the image, relative to its border. Small networks then learn faces before
    backgrounds."""


class CompactAutoencoderTask(AutoencoderTask):
    """Train a compact autoencoder with weights for timesteps and pixels."""

    kind = "compact-autoencoder"
    settings: CompactAutoencoderSettings

    def build_network(self) -> CompactAutoencoder:
        """Build the network, with the weights of `init_from` and `encoder` if there are any."""
        settings = self.settings
        if settings.freeze_encoder and settings.init_from is None and settings.encoder is None:
            raise InputError(
                "freeze_encoder needs a trained encoder. Give `encoder` (facebench train encoder) or `init_from`."
            )
        network = CompactAutoencoder(settings.model)
        if settings.init_from is not None:
            initial = open_autoencoder(settings.init_from)
            _refuse_other_targets(settings.model, initial, settings.init_from)
            load_strictly(network, initial.state_dict(), str(settings.init_from))
        if settings.encoder is not None:
            load_encoder(network, settings.encoder)
        for part in (network.encoder, network.decoder):
            if part is not None:
                part.requires_grad_(not settings.freeze_encoder)
        return network

    def denoise(
        self, network: nn.Module, x_0: Tensor, z_sem: Tensor, t: Tensor, noise: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Add noise to the diffusion targets of faces x_0, and return the predicted eps and clean faces."""
        assert isinstance(network, CompactAutoencoder)
        x_t = q_sample(network.diffusion_target(x_0, z_sem), t, noise)
        eps = network(x_t, t, z_sem)
        return eps, network.face_of(x_0_from_eps(x_t, t, eps), z_sem)

    def denoising_loss(self, eps: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """Weighted squared error of eps, (n,), with the weights of pixels and timesteps."""
        pixel = center_weights(eps.shape[-1], self.settings.center_weight, eps.device).sqrt()
        return self.prior_denoising_loss(pixel * eps, pixel * noise, t)

    def prior_denoising_loss(self, eps: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """Weighted squared error of eps, (n,), with the weights of timesteps."""
        return timestep_weight(t, self.settings.weighting) * losses.simple(eps, noise, "none")


SETTINGS = CompactAutoencoderSettings


def make(settings: CompactAutoencoderSettings) -> CompactAutoencoderTask:
    """Open the data and build the network."""
    size = settings.model.size
    return CompactAutoencoderTask(settings, open_faces(settings.data, size), size)


def center_weights(size: int, center_weight: float, device: torch.device | str = "cpu") -> Tensor:
    """Build pixel weights (size, size) with mean 1: a Gaussian whose centre is `center_weight` times the border."""
    offset = (torch.arange(size, device=device) + 0.5) / size - 0.5
    gaussian = torch.exp(-(offset**2) / (2 * CENTER_STD**2))
    weights = 1 + (center_weight - 1) * gaussian[:, None] * gaussian
    return weights / weights.mean()


def _refuse_other_targets(model: CompactAutoencoderConfig, initial: DiffusionAutoencoder, path: Path) -> None:
    initial_model = CompactAutoencoderConfig.model_validate(initial.config.model_dump())
    for key in ("prediction_type", "residual_diffusion"):
        before, now = getattr(initial_model, key), getattr(model, key)
        if before != now:
            raise InputError(
                f"{path} was trained with model.{key}={before}, but the settings have {now}, with which "
                f"the same weights have another meaning. Set model.{key}={before}."
            )
