"""Networks: diffusion autoencoders, rigs, the latent model, and the U-Net that they share.

The networks of the papers and the compact networks of facebench have the same interface and separate files.
"""

from __future__ import annotations

from facebench.training.models.compact_autoencoder import CompactAutoencoder, CompactAutoencoderConfig
from facebench.training.models.compact_rig import CompactRig, CompactRigConfig
from facebench.training.models.ddim import DDIMConfig, build_ddim
from facebench.training.models.diffae import DiffAE, DiffAEConfig, SemanticEncoder
from facebench.training.models.diffusionrig import DiffusionRig, DiffusionRigConfig
from facebench.training.models.diffusionrig_emo import DiffusionRigEmo, DiffusionRigEmoConfig
from facebench.training.models.latent import LatentDPM, LatentDPMConfig
from facebench.training.models.unet import UNet

DiffusionAutoencoder = DiffAE | CompactAutoencoder
"""Networks with `encode`, `encode_stochastic` and `decode`, that predict eps when called."""
Rig = DiffusionRig | DiffusionRigEmo | CompactRig
"""Networks with `encode`, `extra_codes` and `driven_by`, that predict eps when called."""

__all__ = [
    "CompactAutoencoder",
    "CompactAutoencoderConfig",
    "CompactRig",
    "CompactRigConfig",
    "DDIMConfig",
    "DiffAE",
    "DiffAEConfig",
    "DiffusionAutoencoder",
    "DiffusionRig",
    "DiffusionRigConfig",
    "DiffusionRigEmo",
    "DiffusionRigEmoConfig",
    "LatentDPM",
    "LatentDPMConfig",
    "Rig",
    "SemanticEncoder",
    "UNet",
    "build_ddim",
]
