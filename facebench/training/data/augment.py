"""Augmentation of aligned face crops, so that networks trained on renderings generalise to photographs."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from facebench.training.engine.rng import StepRng

SHIFT, ROTATION, ZOOM = 0.06, math.radians(8), 0.1
"""Ranges of the alignment, since landmarks of other detectors differ by a few pixels."""


def augment(crops: Tensor, rng: StepRng) -> Tensor:
    """Apply a random similarity transform, colour change, blur, occlusion and noise.

    Args:
        crops: (n, 3, s, s) in [-1, 1].
        rng: random numbers of the step.

    Returns:
        (n, 3, s, s) in [-1, 1].
    """
    crops = _transform(crops, rng)
    crops = _change_colour(crops, rng)
    crops = _blur(crops, rng)
    crops = _occlude(crops, rng)
    strength = 0.08 * rng.uniform("noise strength").square()
    noise = rng.normal("noise", tuple(crops.shape[1:]))
    return (crops + strength.view(-1, 1, 1, 1) * noise).clamp(-1, 1)


def _uniform(rng: StepRng, what: str, low: float, high: float) -> Tensor:
    return low + (high - low) * rng.uniform(what)


def _transform(crops: Tensor, rng: StepRng) -> Tensor:
    turn = _uniform(rng, "turn", -ROTATION, ROTATION)
    zoom = torch.exp(_uniform(rng, "zoom", -ZOOM, ZOOM))
    cos, sin = zoom * turn.cos(), zoom * turn.sin()
    right, down = (2 * _uniform(rng, side, -SHIFT, SHIFT) for side in ("right", "down"))
    matrix = torch.stack([torch.stack([cos, -sin, right], 1), torch.stack([sin, cos, down], 1)], 1)
    grid = functional.affine_grid(matrix, list(crops.shape), align_corners=False)
    return functional.grid_sample(crops, grid, padding_mode="border", align_corners=False)


def _change_colour(crops: Tensor, rng: StepRng) -> Tensor:
    light = (crops + 1) / 2
    gains = torch.stack([_uniform(rng, f"gain {c}", 0.8, 1.25) for c in "rgb"], 1)
    gamma = torch.exp(_uniform(rng, "gamma", -0.45, 0.45)).view(-1, 1, 1, 1)
    light = (light * gains[:, :, None, None]).clamp(1e-4, 1) ** gamma
    grey = light.mean(1, keepdim=True)
    colour = _uniform(rng, "colour", -0.2, 1.2).clamp(0, 1).view(-1, 1, 1, 1)
    return (colour * light + (1 - colour) * grey) * 2 - 1


def _blur(crops: Tensor, rng: StepRng) -> Tensor:
    blurred = functional.avg_pool2d(functional.pad(crops, (2, 2, 2, 2), mode="replicate"), 5, 1)
    share = _uniform(rng, "soft", -1.0, 1.0).clamp(0, 1).view(-1, 1, 1, 1)
    return share * blurred + (1 - share) * crops


def _occlude(crops: Tensor, rng: StepRng) -> Tensor:
    """Cover a part of a quarter of the faces by a grey rectangle."""
    side = crops.shape[-1]
    axis = torch.arange(side, device=crops.device) / side
    half = _uniform(rng, "half", 0.05, 0.15)
    inside = []
    for name in ("column", "row"):
        middle = rng.uniform(name)
        inside.append((axis[None] - middle[:, None]).abs() < half[:, None])
    hidden = inside[1][:, :, None] & inside[0][:, None, :] & (rng.uniform("cover") < 0.25)[:, None, None]
    grey = _uniform(rng, "grey", -1.0, 1.0).view(-1, 1, 1, 1)
    return torch.where(hidden[:, None], grey, crops)
