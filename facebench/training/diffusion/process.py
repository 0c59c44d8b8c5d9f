"""The forward process, the training loss and the conversions between eps, v and x_0.

Coefficients are computed in float64 and applied in the dtype of the images.

Sources: Ho et al. 2020 (DDPM), Choi et al. 2022 (P2), Salimans & Ho 2022 (v).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from facebench.training.diffusion.schedule import LINEAR, Schedule

Denoiser = Callable[..., Tensor]
"""A model that predicts eps: called as (x_t, t, z_sem), or as (x_t, t) for a model without a code."""

Weighting = Literal["simple", "p2", "v", "x_0"]
"""Weight of the squared error of eps at each timestep."""


def q_sample(x_0: Tensor, t: Tensor, noise: Tensor, schedule: Schedule = LINEAR) -> Tensor:
    """Diffuse clean images to their timesteps: x_t = sqrt(abar) x_0 + sqrt(1 - abar) noise.

    Args:
        x_0: (n, ...) clean images in [-1, 1], or latents.
        t: (n,) timesteps, indices into `schedule`.
        noise: standard normal, shaped like x_0.
        schedule: the noise schedule.

    Returns:
        x_t, shaped like x_0.
    """
    abar = schedule.alphas_cumprod
    return _at(np.sqrt(abar), t, x_0) * x_0 + _at(np.sqrt(1 - abar), t, x_0) * noise


def x_0_from_eps(x_t: Tensor, t: Tensor, eps: Tensor, schedule: Schedule = LINEAR) -> Tensor:
    """Predict clean images from eps: (x_t - sqrt(1 - abar) eps) / sqrt(abar), not clamped.

    Args:
        x_t: (n, ...) noisy images.
        t: (n,) timesteps, indices into `schedule`.
        eps: predicted noise, shaped like x_t.
        schedule: the noise schedule.

    Returns:
        x_0, shaped like x_t.

    Example:
        >>> x_0, noise, t = torch.rand(2, 3, 4, 4), torch.randn(2, 3, 4, 4), torch.tensor([10, 700])
        >>> torch.allclose(x_0_from_eps(q_sample(x_0, t, noise), t, noise), x_0, atol=1e-4)
        True
    """
    abar = schedule.alphas_cumprod
    return _at(np.sqrt(1 / abar), t, x_t) * x_t - _at(np.sqrt(1 / abar - 1), t, x_t) * eps


def eps_from_v(x_t: Tensor, t: Tensor, v: Tensor, schedule: Schedule = LINEAR) -> Tensor:
    """Convert v = sqrt(abar) eps - sqrt(1 - abar) x_0 to eps: sqrt(1 - abar) x_t + sqrt(abar) v.

    Source: Salimans & Ho 2022, "Progressive distillation for fast sampling of diffusion models", appendix D.

    Example:
        >>> x_0, noise, t = torch.rand(2, 3, 4, 4), torch.randn(2, 3, 4, 4), torch.tensor([10, 700])
        >>> abar = torch.tensor(LINEAR.alphas_cumprod[t], dtype=torch.float32).view(-1, 1, 1, 1)
        >>> v = abar.sqrt() * noise - (1 - abar).sqrt() * x_0
        >>> torch.allclose(eps_from_v(q_sample(x_0, t, noise), t, v), noise, atol=1e-5)
        True
    """
    abar = schedule.alphas_cumprod
    return _at(np.sqrt(1 - abar), t, x_t) * x_t + _at(np.sqrt(abar), t, x_t) * v


def eps_from_x_0(x_t: Tensor, t: Tensor, x_0: Tensor, schedule: Schedule = LINEAR) -> Tensor:
    """Convert clean images to eps: (x_t - sqrt(abar) x_0) / sqrt(1 - abar), the inverse of `x_0_from_eps`.

    Example:
        >>> x_0, noise, t = torch.rand(2, 3, 4, 4), torch.randn(2, 3, 4, 4), torch.tensor([10, 700])
        >>> torch.allclose(eps_from_x_0(q_sample(x_0, t, noise), t, x_0), noise, atol=1e-4)
        True
    """
    abar = schedule.alphas_cumprod
    return (x_t - _at(np.sqrt(abar), t, x_t) * x_0) / _at(np.sqrt(1 - abar), t, x_t)


def v_weight(t: Tensor, schedule: Schedule = LINEAR) -> Tensor:
    """Weights 1 / abar, one per timestep: they turn the squared error of eps into that of v."""
    return torch.as_tensor(1 / schedule.alphas_cumprod, dtype=torch.float32, device=t.device)[t]


def x_0_weight(t: Tensor, schedule: Schedule = LINEAR) -> Tensor:
    """Weights 1 / SNR = (1 - abar) / abar, one per timestep: they turn the squared error of eps into that of x_0."""
    abar = schedule.alphas_cumprod
    return torch.as_tensor((1 - abar) / abar, dtype=torch.float32, device=t.device)[t]


def p2_weight(t: Tensor, schedule: Schedule = LINEAR, *, gamma: float = 1.0, k: float = 1.0) -> Tensor:
    """P2 weights 1 / (k + SNR)^gamma, one per timestep; with gamma 1 and k 1 they are 1 - abar.

    Source: Choi et al. 2022, "Perception prioritized training of diffusion models", eq. 8.
    """
    abar = schedule.alphas_cumprod
    weights = (k + abar / (1 - abar)) ** -gamma
    return torch.as_tensor(weights, dtype=torch.float32, device=t.device)[t]


def timestep_weight(t: Tensor, weighting: Weighting) -> Tensor:
    """Weights of the squared error of eps, one per timestep: 1, `p2_weight`, `v_weight` or `x_0_weight`.

    Example:
        >>> timestep_weight(torch.tensor([0, 999]), "simple")
        tensor([1., 1.])
    """
    match weighting:
        case "p2":
            return p2_weight(t)
        case "v":
            return v_weight(t)
        case "x_0":
            return x_0_weight(t)
    return torch.ones_like(t, dtype=torch.float32)


def training_loss(
    model: Denoiser,
    x_0: Tensor,
    t: Tensor,
    noise: Tensor,
    z_sem: Tensor | None = None,
    *,
    schedule: Schedule = LINEAR,
    norm: Literal["l1", "l2"] = "l2",
) -> Tensor:
    """Mean error of the predicted eps, one value per row; lower is better.

    Args:
        model: the denoiser.
        x_0: (n, ...) clean images in [-1, 1], or normalised latents.
        t: (n,) timesteps, indices into `schedule`.
        noise: standard normal, shaped like x_0.
        z_sem: (n, d) codes, or None for a model without them.
        schedule: the noise schedule.
        norm: "l2" squares the error (images), "l1" takes its absolute value (DiffAE's latent model).

    Returns:
        (n,) losses. Multiply them by `p2_weight(t)` and the like to weight the timesteps.
    """
    eps = predict_eps(model, q_sample(x_0, t, noise, schedule), t, z_sem)
    error = (eps - noise).abs() if norm == "l1" else (eps - noise).square()
    return error.flatten(1).mean(dim=1)


def predict_eps(model: Denoiser, x_t: Tensor, t: Tensor, z_sem: Tensor | None) -> Tensor:
    """Call a denoiser with its code, or without one where `z_sem` is None."""
    return model(x_t, t) if z_sem is None else model(x_t, t, z_sem)


def _at(values: npt.NDArray[np.float64], t: Tensor, like: Tensor) -> Tensor:
    """Select `values` at timesteps t and shape them to multiply `like` row by row."""
    selected = torch.as_tensor(values, dtype=like.dtype, device=t.device)[t]
    return selected.view(-1, *[1] * (like.ndim - 1))
