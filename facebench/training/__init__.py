"""Training: diffusion autoencoders, DiffusionRig, losses that preserve identity, and recognition utility."""

from __future__ import annotations

from facebench.training import diffusion, losses
from facebench.training.models.official import (
    latent_statistics,
    load_official,
    official_names,
    official_state,
)

__all__ = [
    "diffusion",
    "latent_statistics",
    "load_official",
    "losses",
    "official_names",
    "official_state",
]
