"""Networks: the diffusion autoencoder, its latent model, the plain diffusion model and DiffusionRig."""

from __future__ import annotations

from facebench.training.models.diffae import DiffAE, DiffAEConfig
from facebench.training.models.latent import LatentDPM, LatentDPMConfig
from facebench.training.models.rig import DiffusionRig, DiffusionRigConfig
from facebench.training.models.unet import SemanticEncoder, UNet

__all__ = [
    "DiffAE",
    "DiffAEConfig",
    "DiffusionRig",
    "DiffusionRigConfig",
    "LatentDPM",
    "LatentDPMConfig",
    "SemanticEncoder",
    "UNet",
]
