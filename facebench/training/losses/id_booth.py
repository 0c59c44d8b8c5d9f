"""Loss of one training step of DreamBooth, PortraitBooth or ID-Booth, as in the released ID-Booth script.

Options of the script: "none" is DreamBooth, "identity" is PortraitBooth, "triplet" is ID-Booth.

Source: Tomašević et al. 2025 and the training script released with it.
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
    """Functions and options of the identity loss."""

    kind: IdentityLoss
    decode: Callable[[Tensor], Tensor]
    """Decode latents x̂₀ (n, c, h, w) to images in [-1, 1], with gradients: the frozen VAE decoder and its scale."""
    crop: Callable[[Tensor], Tensor | None]
    """Crop an image (3, h, w) to the recogniser's input (1, 3, 112, 112); None if it shows no face."""
    recognise: Callable[[Tensor], Tensor]
    """Embed crops with a frozen recogniser, (n, d)."""
    weigh_timesteps: bool = True
    """Multiply the loss by (1 - t/T)^2."""
    weight: float = 1.0
    """Weight of the loss in the sum."""


@dataclass(frozen=True)
class NoisePrediction:
    """Prediction of the U-Net for n instance images, then n prior images; the script uses n = 1."""

    latents: Tensor
    """(2n, c, h, w) clean latents."""
    noise: Tensor
    """(2n, c, h, w) added noise."""
    eps: Tensor
    """(2n, c, h, w) predicted noise."""
    t: Tensor
    """(2n,) timesteps; those of the instance images determine the weight of the identity loss."""


@dataclass(frozen=True)
class StepLoss:
    """Loss of one step and its terms."""

    total: Tensor
    reconstruction: Tensor
    """L_simple plus the weighted L_PR."""
    identity: Tensor | None
    """Weighted identity loss; None if it is disabled or no face was found."""
    without_face: int
    """Number of instance images without an identity loss: x̂₀ or a clean image shows no face."""


def step_loss(
    prediction: NoisePrediction,
    term: IdentityTerm,
    embeddings: Tensor,
    *,
    prior_weight: float = 1.0,
    schedule: Schedule = STABLE_DIFFUSION,
) -> StepLoss:
    """Compute the loss of one training step.

    Args:
        prediction: predicted noise of instance and prior images.
        term: the identity loss.
        embeddings: (2n, d) embeddings of the clean images: positives, then negatives; NaN where a clean image shows
            no face.
        prior_weight: weight of L_PR.
        schedule: the noise schedule.

    Returns:
        The loss. The mean of the identity loss includes instances without a face, with a loss of 0. The gradient of
        one image therefore does not depend on faces in other images.
    """
    reconstruction = losses.prior_preservation(prediction.eps, prediction.noise, prior_weight)
    if term.kind == "none":
        return StepLoss(reconstruction, reconstruction, None, 0)
    half = len(prediction.latents) // 2
    t = prediction.t[:half]
    x_t = q_sample(prediction.latents[:half], t, prediction.noise[:half], schedule)
    images = term.decode(x_0_from_eps(x_t, t, prediction.eps[:half], schedule)).clamp(-1, 1)
    positive, negative = embeddings.chunk(2)
    rows = []
    for row, image in enumerate(images):
        face = term.crop(image)
        if face is None or not _has_targets(term.kind, positive[row], negative[row]):
            continue
        loss = _identity(term, term.recognise(face), positive[row, None], negative[row, None])
        weight = losses.timestep_weight(t[row], len(schedule)) if term.weigh_timesteps else 1.0
        rows.append(weight * loss)
    if not rows:
        return StepLoss(reconstruction, reconstruction, None, half)
    identity = term.weight * torch.stack(rows).sum() / half
    return StepLoss(reconstruction + identity, reconstruction, identity, half - len(rows))


def _has_targets(kind: IdentityLoss, positive: Tensor, negative: Tensor) -> bool:
    """Whether the clean images that a loss compares with show faces."""
    compared = [positive] if kind == "identity" else [positive, negative]
    return all(bool(torch.isfinite(embedding).all()) for embedding in compared)


def _identity(term: IdentityTerm, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
    if term.kind == "identity":
        return losses.identity(anchor, positive)
    return losses.triplet_identity(anchor, positive, negative)
