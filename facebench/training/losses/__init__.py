"""Losses of denoisers, and losses that preserve identity."""

from facebench.training.losses.formulas import (
    Reduction,
    cosine_distance,
    identity,
    prior_preservation,
    shape,
    simple,
    timestep_weight,
    triplet_identity,
)

__all__ = [
    "Reduction",
    "cosine_distance",
    "identity",
    "prior_preservation",
    "shape",
    "simple",
    "timestep_weight",
    "triplet_identity",
]
