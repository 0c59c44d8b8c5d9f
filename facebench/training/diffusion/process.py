"""The diffusion process: x_t, the loss over eps, DDIM both ways, the moving average.

Coefficients are formed in float64 and applied in the dtype of the images.

Sources: Ho et al. 2020 (DDPM), Song et al. 2021 (DDIM), Preechakul et al. 2022 (DiffAE), Choi et al. 2022
(P2), Salimans & Ho 2022 (v).
"""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from facebench.training.diffusion.schedule import LINEAR, Schedule

Denoiser = Callable[..., Tensor]
"""Anything that predicts eps: called as (x_t, t, z_sem), or as (x_t, t) where there is no code."""

Weighting = Literal["simple", "p2", "v", "x_0"]
"""How much the error of eps counts at each timestep."""


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
    """Clean images that x_t and eps imply: (x_t - sqrt(1 - abar) eps) / sqrt(abar), not clamped.

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
    """The eps that v = sqrt(abar) eps - sqrt(1 - abar) x_0 implies: sqrt(1 - abar) x_t + sqrt(abar) v.

    A network that predicts v need not copy the noise through all its layers.

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
    """The eps that clean images imply: (x_t - sqrt(abar) x_0) / sqrt(1 - abar), the inverse of `x_0_from_eps`.

    A network that predicts x_0 carries no noise through its layers at all.

    Example:
        >>> x_0, noise, t = torch.rand(2, 3, 4, 4), torch.randn(2, 3, 4, 4), torch.tensor([10, 700])
        >>> torch.allclose(eps_from_x_0(q_sample(x_0, t, noise), t, x_0), noise, atol=1e-4)
        True
    """
    abar = schedule.alphas_cumprod
    return (x_t - _at(np.sqrt(abar), t, x_t) * x_0) / _at(np.sqrt(1 - abar), t, x_t)


def v_weight(t: Tensor, schedule: Schedule = LINEAR) -> Tensor:
    """Weights 1 / abar, one per timestep, that make the squared error of eps that of v."""
    return torch.as_tensor(1 / schedule.alphas_cumprod, dtype=torch.float32, device=t.device)[t]


def x_0_weight(t: Tensor, schedule: Schedule = LINEAR) -> Tensor:
    """Weights 1 / SNR = (1 - abar) / abar, one per timestep, that make the squared error of eps that of x_0."""
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
    """Weights of the error of eps, one per timestep: 1, `p2_weight`, `v_weight` or `x_0_weight`.

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
    weight: Tensor | None = None,
) -> Tensor:
    """Error of the predicted eps, averaged over all values of a row; lower is better.

    Args:
        model: the denoiser.
        x_0: (n, ...) clean images in [-1, 1], or normalised latents.
        t: (n,) timesteps, indices into `schedule`.
        noise: standard normal, shaped like x_0.
        z_sem: (n, d) codes, or None for a model without them.
        schedule: the noise schedule.
        norm: "l2" squares the error (images), "l1" takes its absolute value (DiffAE's latent model).
        weight: (n,) weights of the rows, such as `p2_weight(t)`.

    Returns:
        (n,) losses.
    """
    eps = _predict(model, q_sample(x_0, t, noise, schedule), t, z_sem)
    error = (eps - noise).abs() if norm == "l1" else (eps - noise).square()
    rows = error.flatten(1).mean(dim=1)
    return rows if weight is None else weight * rows


@dataclass(frozen=True)
class Step:
    """What one step of a sampler did."""

    index: int
    """Position in the shortened schedule."""
    x: Tensor
    """The sample after the step."""
    x_0: Tensor
    """The clean image that was predicted, clamped where the sampler clamps."""


OnStep = Callable[[Step], None]


def ddim_encode_step(
    model: Denoiser, x: Tensor, index: int, z_sem: Tensor | None, schedule: Schedule, clip: bool = True
) -> Step:
    """One step from the image towards noise; `schedule` is already shortened, `index` counts up from 0.

    Beyond the last step nothing of the image is left, so that the final x_T is the last eps itself.
    """
    x_0, eps = _predictions(model, x, index, z_sem, schedule, clip)
    beyond = schedule.alphas_cumprod[index + 1] if index + 1 < len(schedule) else 0.0
    return Step(index, float(np.sqrt(beyond)) * x_0 + float(np.sqrt(1 - beyond)) * eps, x_0)


def ddim_decode_step(
    model: Denoiser, x: Tensor, index: int, z_sem: Tensor | None, schedule: Schedule, clip: bool = True
) -> Step:
    """One step from noise towards the image; `index` counts down to 0, which gives the predicted x_0."""
    x_0, eps = _predictions(model, x, index, z_sem, schedule, clip)
    before = schedule.alphas_cumprod[index - 1] if index > 0 else 1.0
    return Step(index, float(np.sqrt(before)) * x_0 + float(np.sqrt(1 - before)) * eps, x_0)


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
    """Find the stochastic code x_T of images: DDIM run backwards, without chance.

    Args:
        model: the denoiser; `DiffAE`, or any callable (x_t, t, z_sem) to eps.
        x_0: (n, ...) images in [-1, 1].
        z_sem: (n, d) their codes; None for a model called as (x_t, t).
        steps: how many of the schedule's steps to take; DiffAE uses 250, and 20 for evaluation.
        schedule: the full noise schedule.
        clip: clamp each predicted x_0 to [-1, 1] and form eps from it again, the official default.
        on_step: called after every step, for progress or for recording.

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
    """Turn noise or a stochastic code into images: DDIM with eta 0.

    Args:
        model: the denoiser; `DiffAE`, or any callable (x_t, t, z_sem) to eps.
        x_T: (n, ...) standard normal, or what `ddim_encode` found.
        z_sem: (n, d) codes of the faces to draw; None for a model called as (x_t, t).
        steps: how many of the schedule's steps to take; DiffAE renders with 100, evaluates with 20.
        schedule: the full noise schedule.
        clip: clamp each predicted x_0 to [-1, 1] and form eps from it again, the official default.
        on_step: called after every step, for progress or for recording.

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
    steps: int | None = None,
    *,
    schedule: Schedule = LINEAR,
    clip: bool = True,
    generator: torch.Generator | None = None,
    on_step: OnStep | None = None,
) -> Tensor:
    """Turn noise into images by ancestral sampling, with fresh noise at every step but the last.

    The variance is beta, the larger of the two choices of Ho et al. 2020, section 3.2, as in the official
    models.

    Args:
        model: the denoiser.
        x_T: (n, ...) standard normal.
        z_sem: (n, d) codes, or None.
        steps: how many steps, spread evenly from first to last; all when None.
        schedule: the full noise schedule.
        clip: clamp each predicted x_0 to [-1, 1].
        generator: source of the noise.
        on_step: called after every step.

    Returns:
        x_0, shaped like x_T.
    """
    short = schedule.evenly(len(schedule) if steps is None else steps)
    abar, betas = short.alphas_cumprod, short.betas
    x = x_T
    for index in reversed(range(len(short))):
        x_0, _ = _predictions(model, x, index, z_sem, short, clip)
        before = abar[index - 1] if index > 0 else 1.0
        of_x_0 = float(betas[index] * np.sqrt(before) / (1 - abar[index]))
        of_x = float((1 - before) * np.sqrt(1 - betas[index]) / (1 - abar[index]))
        x = of_x_0 * x_0 + of_x * x
        if index > 0:
            noise = torch.randn(x.shape, generator=generator, dtype=x.dtype, device=x.device)
            x = x + float(np.sqrt(betas[index])) * noise
        if on_step is not None:
            on_step(Step(index, x, x_0))
    return x


@torch.no_grad()
def ema_update(average: nn.Module, model: nn.Module, decay: float, skip: Container[str] = ()) -> None:
    """Move the average towards the model: average = decay average + (1 - decay) model.

    Over the whole state dict, buffers included; counters are copied, names in `skip` are left alone. DiffAE uses 0.9999
    from the first step.
    """
    source = model.state_dict()
    for key, value in average.state_dict().items():
        if key in skip:
            continue
        if value.is_floating_point():
            value.lerp_(source[key], 1 - decay)  # one pass over memory
        else:
            value.copy_(source[key])


def _predict(model: Denoiser, x: Tensor, t: Tensor, z_sem: Tensor | None) -> Tensor:
    return model(x, t) if z_sem is None else model(x, t, z_sem)


def _predictions(
    model: Denoiser, x: Tensor, index: int, z_sem: Tensor | None, schedule: Schedule, clip: bool
) -> tuple[Tensor, Tensor]:
    """Predict x_0, and the eps that leads from it to x."""
    t = torch.full((len(x),), int(schedule.timesteps[index]), dtype=torch.int64, device=x.device)
    abar = schedule.alphas_cumprod[index]
    of_x, of_eps = float(np.sqrt(1 / abar)), float(np.sqrt(1 / abar - 1))
    x_0 = of_x * x - of_eps * _predict(model, x, t, z_sem)
    if clip:
        x_0 = x_0.clamp(-1, 1)
    return x_0, (of_x * x - x_0) / of_eps


def _at(values: npt.NDArray[np.float64], t: Tensor, like: Tensor) -> Tensor:
    """Values at timesteps t, shaped to multiply `like` row by row."""
    picked = torch.as_tensor(values, dtype=like.dtype, device=t.device)[t]
    return picked.view(-1, *[1] * (like.ndim - 1))
