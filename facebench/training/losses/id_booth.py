"""The loss of one ID-Booth training step: DreamBooth, PortraitBooth or ID-Booth, with the released details.

The published name and the option of the released script: DreamBooth is "none", PortraitBooth is "identity",
ID-Booth is "triplet". Source: Tomašević et al. 2025 and the training script released with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from facebench.training import losses
from facebench.training.diffusion import q_sample, x_0_from_eps
from facebench.training.diffusion.schedule import Schedule

IdentityLoss = Literal["none", "identity", "triplet"]
STABLE_DIFFUSION = Schedule.scaled_linear()


@dataclass(frozen=True)
class IdentityTerm:
    """What the identity term of a step needs besides the denoiser."""

    kind: IdentityLoss
    decode: Callable[[Tensor], Tensor]
    """Latents x̂₀ (n, c, h, w) to images in [-1, 1], with gradients: the frozen VAE decoder and its scale."""
    crop: Callable[[Tensor], Tensor | None]
    """One image (3, h, w) to the recogniser's input (1, 3, 112, 112), or None when no face is found in it."""
    recognise: Callable[[Tensor], Tensor]
    """Recogniser's input to embeddings (n, d); frozen."""
    weigh_timesteps: bool = True
    """Multiply by (1 - t/T)^2."""


@dataclass(frozen=True)
class StepLoss:
    """Loss of a step and its parts."""

    total: Tensor
    reconstruction: Tensor
    """L_simple + prior weight * L_PR."""
    identity: Tensor | None
    """The weighted identity term; None when it is off or no face was found."""
    without_face: int
    """Instance images whose x̂₀ shows no face: their identity term is left out."""


def step_loss(
    latents: Tensor,
    noise: Tensor,
    prediction: Tensor,
    t: Tensor,
    term: IdentityTerm,
    embeddings: Tensor,
    *,
    prior_weight: float = 1.0,
    schedule: Schedule = STABLE_DIFFUSION,
) -> StepLoss:
    """Loss of one training step.

    Args:
        latents: (2n, c, h, w) clean latents: n instance images, then n prior images; the script takes n = 1.
        noise: (2n, c, h, w) the noise that was added.
        prediction: (2n, c, h, w) predicted eps.
        t: (2n,) timesteps; the instance images' decide the weight of the identity term.
        term: the identity term.
        embeddings: (2n, d) of the clean images: positives, then negatives.
        prior_weight: of the prior images' reconstruction.
        schedule: the noise schedule.

    Returns:
        The loss. An instance without a face adds nothing to the identity term and still counts in its mean,
        so that one image's gradient does not depend on whether the others show a face.
    """
    reconstruction = losses.prior_preservation(prediction, noise, prior_weight)
    if term.kind == "none":
        return StepLoss(reconstruction, reconstruction, None, 0)
    half = len(latents) // 2
    x_t = q_sample(latents[:half], t[:half], noise[:half], schedule)
    images = term.decode(x_0_from_eps(x_t, t[:half], prediction[:half], schedule)).clamp(-1, 1)
    positive, negative = embeddings.chunk(2)
    rows = []
    for row, image in enumerate(images):
        face = term.crop(image)
        if face is None:
            continue
        loss = _identity(term, term.recognise(face), positive[row, None], negative[row, None])
        weight = losses.timestep_weight(t[row], len(schedule)) if term.weigh_timesteps else 1.0
        rows.append(weight * loss)
    if not rows:
        return StepLoss(reconstruction, reconstruction, None, half)
    identity = torch.stack(rows).sum() / half
    return StepLoss(reconstruction + identity, reconstruction, identity, half - len(rows))


def _identity(term: IdentityTerm, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
    if term.kind == "identity":
        return losses.identity(anchor, positive)
    return losses.triplet_identity(anchor, positive, negative)
