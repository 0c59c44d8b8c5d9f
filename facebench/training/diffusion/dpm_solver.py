"""DPM-Solver++ of second order (2M), by the scheduler of diffusers.

Source: Lu et al. 2022, "DPM-Solver++: fast solver for guided sampling of diffusion probabilistic models", algorithm 2.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from facebench.core.errors import InputError
from facebench.training.diffusion.process import Denoiser, predict_eps
from facebench.training.diffusion.schedule import LINEAR, Schedule


@torch.no_grad()
def dpm_solver_sample(
    model: Denoiser, x_T: Tensor, z_sem: Tensor | None, steps: int, *, schedule: Schedule = LINEAR
) -> Tensor:
    """Generate images from noise by DPM-Solver++ 2M with timesteps in equal steps, rounded to whole ones.

    Args:
        model: the denoiser.
        x_T: (n, ...) standard normal.
        z_sem: (n, d) codes, or None.
        steps: number of steps; 20 to 30 are common.
        schedule: the full noise schedule.

    Returns:
        x_0, shaped like x_T; it is not clamped.

    Raises:
        InputError: diffusers is not installed, or there are more steps than timesteps.
    """
    if not 1 <= steps < len(schedule):
        raise InputError(f"DPM-Solver++ takes 1 to {len(schedule) - 1} steps, not {steps}.")
    try:
        from diffusers import DPMSolverMultistepScheduler
    except ImportError:
        raise InputError("DPM-Solver++ needs diffusers: pip install 'facebench[train]'") from None
    build: Any = DPMSolverMultistepScheduler
    scheduler = build(
        num_train_timesteps=len(schedule),
        trained_betas=schedule.betas.tolist(),
        algorithm_type="dpmsolver++",
        solver_order=2,
        prediction_type="epsilon",
        timestep_spacing="linspace",
    )
    scheduler.set_timesteps(steps, device=x_T.device)
    x = x_T
    for step in scheduler.timesteps:
        t = torch.full((len(x),), int(step), dtype=torch.int64, device=x.device)
        x = scheduler.step(predict_eps(model, x, t, z_sem), step, x).prev_sample
    return x
