"""Samplers: DDIM from image to noise and from noise to image, and ancestral sampling (DDPM).

Sources: Song et al. 2021 (DDIM), Preechakul et al. 2022 (the stochastic code x_T), Ho et al. 2020 (DDPM).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from facebench.training.diffusion.process import Denoiser, predict_eps
from facebench.training.diffusion.schedule import LINEAR, Schedule


@dataclass(frozen=True)
class Step:
    """Result of one sampling step."""

    index: int
    """Position in the shortened schedule."""
    x: Tensor
    """The sample after the step."""
    x_0: Tensor
    """The predicted clean image, clamped where the sampler clamps."""


OnStep = Callable[[Step], None]


def ddim_encode_step(
    model: Denoiser, x: Tensor, index: int, z_sem: Tensor | None, schedule: Schedule, clip: bool = True
) -> Step:
    """Take one step from the image towards noise.

    `schedule` is already shortened and `index` counts up from 0. After the last step alpha bar is 0, so the final
    x_T is the last eps.
    """
    x_0, eps = _predictions(model, x, index, z_sem, schedule, clip)
    abar_next = schedule.alphas_cumprod[index + 1] if index + 1 < len(schedule) else 0.0
    return Step(index, float(np.sqrt(abar_next)) * x_0 + float(np.sqrt(1 - abar_next)) * eps, x_0)


def ddim_decode_step(
    model: Denoiser, x: Tensor, index: int, z_sem: Tensor | None, schedule: Schedule, clip: bool = True
) -> Step:
    """Take one step from noise towards the image; `index` counts down to 0, which gives the predicted x_0."""
    x_0, eps = _predictions(model, x, index, z_sem, schedule, clip)
    abar_previous = schedule.alphas_cumprod[index - 1] if index > 0 else 1.0
    return Step(index, float(np.sqrt(abar_previous)) * x_0 + float(np.sqrt(1 - abar_previous)) * eps, x_0)


@torch.no_grad()
def ddim_encode(
    model: Denoiser,
    x_0: Tensor,
    z_sem: Tensor | None,
    steps: int,
    *,
    schedule: Schedule = LINEAR,
    clip: bool = True,
    on_step: OnStep | None = None,
) -> Tensor:
    """Compute the stochastic code x_T of images by deterministic reverse DDIM.

    Args:
        model: the denoiser; `DiffAE`, or any callable (x_t, t, z_sem) to eps.
        x_0: (n, ...) images in [-1, 1].
        z_sem: (n, d) their codes; None for a model called as (x_t, t).
        steps: number of steps; DiffAE uses 250, and 20 for evaluation.
        schedule: the full noise schedule.
        clip: clamp each predicted x_0 to [-1, 1] and recompute eps from it, the official default.
        on_step: callback invoked after each step.

    Returns:
        x_T, shaped like x_0.

    Raises:
        InputError: `steps` does not fit the schedule.

    Source: Song et al. 2021, section 4.3; Preechakul et al. 2022, eq. 8.
    """
    short = schedule.ddim(steps)
    x = x_0
    for index in range(steps):
        step = ddim_encode_step(model, x, index, z_sem, short, clip)
        x = step.x
        if on_step is not None:
            on_step(step)
    return x


@torch.no_grad()
def ddim_decode(
    model: Denoiser,
    x_T: Tensor,
    z_sem: Tensor | None,
    steps: int,
    *,
    schedule: Schedule = LINEAR,
    clip: bool = True,
    on_step: OnStep | None = None,
) -> Tensor:
    """Generate images from noise or from a stochastic code by DDIM with eta 0.

    Args:
        model: the denoiser; `DiffAE`, or any callable (x_t, t, z_sem) to eps.
        x_T: (n, ...) standard normal, or the result of `ddim_encode`.
        z_sem: (n, d) codes of the faces; None for a model called as (x_t, t).
        steps: number of steps; DiffAE renders with 100 and evaluates with 20.
        schedule: the full noise schedule.
        clip: clamp each predicted x_0 to [-1, 1] and recompute eps from it, the official default.
        on_step: callback invoked after each step.

    Returns:
        x_0, shaped like x_T; images lie in [-1, 1] when clipped.

    Raises:
        InputError: `steps` does not fit the schedule.

    Source: Song et al. 2021, eq. 12.
    """
    short = schedule.ddim(steps)
    x = x_T
    for index in reversed(range(steps)):
        step = ddim_decode_step(model, x, index, z_sem, short, clip)
        x = step.x
        if on_step is not None:
            on_step(step)
    return x


@torch.no_grad()
def ddpm_sample(
    model: Denoiser,
    x_T: Tensor,
    z_sem: Tensor | None = None,
    *,
    schedule: Schedule = LINEAR,
    clip: bool = True,
    generator: torch.Generator | Sequence[torch.Generator] | None = None,
    on_step: OnStep | None = None,
) -> Tensor:
    """Generate images from noise by ancestral sampling, which adds fresh noise after every step but the last.

    The variance is beta, the larger of the two choices of Ho et al. 2020, section 3.2, as in the official models.

    Args:
        model: the denoiser.
        x_T: (n, ...) standard normal.
        z_sem: (n, d) codes, or None.
        schedule: the noise schedule; `schedule.evenly(steps)` takes fewer steps.
        clip: clamp each predicted x_0 to [-1, 1].
        generator: source of the noise; a sequence has one for each row, so that rows do not depend on each other.
        on_step: callback invoked after each step.

    Returns:
        x_0, shaped like x_T.
    """
    abar, betas = schedule.alphas_cumprod, schedule.betas
    x = x_T
    for index in reversed(range(len(schedule))):
        x_0, _ = _predictions(model, x, index, z_sem, schedule, clip)
        abar_previous = abar[index - 1] if index > 0 else 1.0
        x_0_coefficient = float(betas[index] * np.sqrt(abar_previous) / (1 - abar[index]))
        x_coefficient = float((1 - abar_previous) * np.sqrt(1 - betas[index]) / (1 - abar[index]))
        x = x_0_coefficient * x_0 + x_coefficient * x
        if index > 0:
            noise = _fresh_noise(x, generator)
            x = x + float(np.sqrt(betas[index])) * noise
        if on_step is not None:
            on_step(Step(index, x, x_0))
    return x


def _fresh_noise(x: Tensor, generator: torch.Generator | Sequence[torch.Generator] | None) -> Tensor:
    if generator is None or isinstance(generator, torch.Generator):
        return torch.randn(x.shape, generator=generator, dtype=x.dtype, device=x.device)
    rows = [torch.randn(x.shape[1:], generator=each, dtype=x.dtype, device=each.device) for each in generator]
    return torch.stack(rows).to(x.device)


def _predictions(
    model: Denoiser, x: Tensor, index: int, z_sem: Tensor | None, schedule: Schedule, clip: bool
) -> tuple[Tensor, Tensor]:
    """Predict x_0, and the eps that leads from it to x."""
    t = torch.full((len(x),), int(schedule.timesteps[index]), dtype=torch.int64, device=x.device)
    abar = schedule.alphas_cumprod[index]
    x_coefficient, eps_coefficient = float(np.sqrt(1 / abar)), float(np.sqrt(1 / abar - 1))
    x_0 = x_coefficient * x - eps_coefficient * predict_eps(model, x, t, z_sem)
    if clip:
        x_0 = x_0.clamp(-1, 1)
    return x_0, (x_coefficient * x - x_0) / eps_coefficient
