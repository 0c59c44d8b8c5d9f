"""Disturbances of aligned face crops in training, so that a network trained on renderings stands other pictures."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from facebench.training.engine.rng import StepRng

SHIFT, TURN, ZOOM = 0.06, math.radians(8), 0.1
"""Landmarks of other detectors are a few pixels off."""


def augment(crops: Tensor, rng: StepRng) -> Tensor:
    """Shift, turn and zoom a little; change colour, contrast and sharpness; add noise; cover a part.

    Args:
        crops: (n, 3, s, s) in [-1, 1].
        rng: random numbers of the step.

    Returns:
        (n, 3, s, s) in [-1, 1].
    """
    crops = _moved(crops, rng)
    crops = _coloured(crops, rng)
    crops = _softened(crops, rng)
    crops = _covered(crops, rng)
    strength = 0.08 * rng.uniform("noise strength").square()
    noise = rng.normal("noise", tuple(crops.shape[1:]))
    return (crops + strength.view(-1, 1, 1, 1) * noise).clamp(-1, 1)


def _between(rng: StepRng, what: str, low: float, high: float) -> Tensor:
    return low + (high - low) * rng.uniform(what)


def _moved(crops: Tensor, rng: StepRng) -> Tensor:
    turn = _between(rng, "turn", -TURN, TURN)
    zoom = torch.exp(_between(rng, "zoom", -ZOOM, ZOOM))
    cos, sin = zoom * turn.cos(), zoom * turn.sin()
    right, down = (2 * _between(rng, side, -SHIFT, SHIFT) for side in ("right", "down"))
    matrix = torch.stack([torch.stack([cos, -sin, right], 1), torch.stack([sin, cos, down], 1)], 1)
    where = functional.affine_grid(matrix, list(crops.shape), align_corners=False)
    return functional.grid_sample(crops, where, padding_mode="border", align_corners=False)


def _coloured(crops: Tensor, rng: StepRng) -> Tensor:
    light = (crops + 1) / 2
    gains = torch.stack([_between(rng, f"gain {c}", 0.8, 1.25) for c in "rgb"], 1)
    gamma = torch.exp(_between(rng, "gamma", -0.45, 0.45)).view(-1, 1, 1, 1)
    light = (light * gains[:, :, None, None]).clamp(1e-4, 1) ** gamma
    grey = light.mean(1, keepdim=True)
    colour = _between(rng, "colour", -0.2, 1.2).clamp(0, 1).view(-1, 1, 1, 1)
    return (colour * light + (1 - colour) * grey) * 2 - 1


def _softened(crops: Tensor, rng: StepRng) -> Tensor:
    soft = functional.avg_pool2d(functional.pad(crops, (2, 2, 2, 2), mode="replicate"), 5, 1)
    share = _between(rng, "soft", -1.0, 1.0).clamp(0, 1).view(-1, 1, 1, 1)
    return share * soft + (1 - share) * crops


def _covered(crops: Tensor, rng: StepRng) -> Tensor:
    """A grey rectangle over a quarter of the faces."""
    side = crops.shape[-1]
    axis = torch.arange(side, device=crops.device) / side
    half = _between(rng, "half", 0.05, 0.15)
    inside = []
    for name in ("column", "row"):
        middle = rng.uniform(name)
        inside.append((axis[None] - middle[:, None]).abs() < half[:, None])
    hidden = inside[1][:, :, None] & inside[0][:, None, :] & (rng.uniform("cover") < 0.25)[:, None, None]
    grey = _between(rng, "grey", -1.0, 1.0).view(-1, 1, 1, 1)
    return torch.where(hidden[:, None], grey, crops)
