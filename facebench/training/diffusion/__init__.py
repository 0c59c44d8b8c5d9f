"""Diffusion: noise schedules, the forward process, the weighted loss of eps, and samplers."""

from facebench.training.diffusion.dpm_solver import dpm_solver_sample
from facebench.training.diffusion.process import (
    Denoiser,
    Weighting,
    eps_from_v,
    eps_from_x_0,
    p2_weight,
    q_sample,
    timestep_weight,
    training_loss,
    v_weight,
    x_0_from_eps,
    x_0_weight,
)
from facebench.training.diffusion.samplers import (
    Step,
    ddim_decode,
    ddim_decode_step,
    ddim_encode,
    ddim_encode_step,
    ddpm_sample,
)
from facebench.training.diffusion.schedule import LINEAR, Schedule

__all__ = [
    "LINEAR",
    "Denoiser",
    "Schedule",
    "Step",
    "Weighting",
    "ddim_decode",
    "ddim_decode_step",
    "ddim_encode",
    "ddim_encode_step",
    "ddpm_sample",
    "dpm_solver_sample",
    "eps_from_v",
    "eps_from_x_0",
    "p2_weight",
    "q_sample",
    "timestep_weight",
    "training_loss",
    "v_weight",
    "x_0_from_eps",
    "x_0_weight",
]
