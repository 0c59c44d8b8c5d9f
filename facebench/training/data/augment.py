"""Disturbances of aligned face crops in training, so that a network trained on renderings stands other pictures."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from facebench.training.engine.rng import Draws

SHIFT, TURN, ZOOM = 0.06, math.radians(8), 0.1
"""Landmarks of other detectors are a few pixels off."""


def disturbed(crops: Tensor, draws: Draws) -> Tensor:
    """Shift, turn and zoom a little; change colour, contrast and sharpness; add noise; cover a part.

    Args:
        crops: (n, 3, s, s) in [-1, 1].
        draws: the step's chance.

    Returns:
        (n, 3, s, s) in [-1, 1].
    """
    crops = _moved(crops, draws)
    crops = _coloured(crops, draws)
    crops = _softened(crops, draws)
    crops = _covered(crops, draws)
    strength = 0.08 * draws.uniform("noise strength").square()
    noise = draws.normal("noise", tuple(crops.shape[1:]))
    return (crops + strength.view(-1, 1, 1, 1) * noise).clamp(-1, 1)


def _between(draws: Draws, what: str, low: float, high: float) -> Tensor:
    return low + (high - low) * draws.uniform(what)


def _moved(crops: Tensor, draws: Draws) -> Tensor:
    turn = _between(draws, "turn", -TURN, TURN)
    zoom = torch.exp(_between(draws, "zoom", -ZOOM, ZOOM))
    cos, sin = zoom * turn.cos(), zoom * turn.sin()
    right, down = (2 * _between(draws, side, -SHIFT, SHIFT) for side in ("right", "down"))
    matrix = torch.stack([torch.stack([cos, -sin, right], 1), torch.stack([sin, cos, down], 1)], 1)
    where = functional.affine_grid(matrix, list(crops.shape), align_corners=False)
    return functional.grid_sample(crops, where, padding_mode="border", align_corners=False)


def _coloured(crops: Tensor, draws: Draws) -> Tensor:
    light = (crops + 1) / 2
    gains = torch.stack([_between(draws, f"gain {c}", 0.8, 1.25) for c in "rgb"], 1)
    gamma = torch.exp(_between(draws, "gamma", -0.45, 0.45)).view(-1, 1, 1, 1)
    light = (light * gains[:, :, None, None]).clamp(1e-4, 1) ** gamma
    grey = light.mean(1, keepdim=True)
    colour = _between(draws, "colour", -0.2, 1.2).clamp(0, 1).view(-1, 1, 1, 1)
    return (colour * light + (1 - colour) * grey) * 2 - 1


def _softened(crops: Tensor, draws: Draws) -> Tensor:
    soft = functional.avg_pool2d(functional.pad(crops, (2, 2, 2, 2), mode="replicate"), 5, 1)
    share = _between(draws, "soft", -1.0, 1.0).clamp(0, 1).view(-1, 1, 1, 1)
    return share * soft + (1 - share) * crops


def _covered(crops: Tensor, draws: Draws) -> Tensor:
    """A grey rectangle over a quarter of the faces."""
    side = crops.shape[-1]
    axis = torch.arange(side, device=crops.device) / side
    half = _between(draws, "half", 0.05, 0.15)
    inside = []
    for name in ("column", "row"):
        middle = draws.uniform(name)
        inside.append((axis[None] - middle[:, None]).abs() < half[:, None])
    hidden = inside[1][:, :, None] & inside[0][:, None, :] & (draws.uniform("cover") < 0.25)[:, None, None]
    grey = _between(draws, "grey", -1.0, 1.0).view(-1, 1, 1, 1)
    return torch.where(hidden[:, None], grey, crops)
