"""Augmentation of CAGE (Wagner et al. 2024): mirror, rotation, perspective, colour, greyscale and erasing.

The ranges are those of the released training scripts. Random numbers come from the step, so runs can be repeated.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from facebench.training.engine.rng import StepRng

ROTATION = math.radians(10)
PERSPECTIVE, PERSPECTIVE_SHARE = 0.2, 0.5
BRIGHTNESS, CONTRAST, SATURATION, HUE = 0.2, 0.2, 0.2, 0.1
GREYSCALE_SHARE, MIRROR_SHARE, ERASING_SHARE = 0.01, 0.5, 0.5
ERASED_AREA, ERASED_RATIO = (0.02, 0.2), (0.3, 3.3)
_LUMA = (0.299, 0.587, 0.114)


def augment_affect(images: Tensor, rng: StepRng) -> Tensor:
    """Augment images (n, 3, s, s) in [-1, 1]; the result has the same shape and range."""
    images = _geometry(images, rng)
    light = _colour((images + 1) / 2, rng)
    return _erase(light.clamp(0, 1) * 2 - 1, rng)


def _between(rng: StepRng, what: str, low: float, high: float) -> Tensor:
    return low + (high - low) * rng.uniform(what)


def _geometry(images: Tensor, rng: StepRng) -> Tensor:
    """Mirror, rotate by up to 10 degrees, and move the corners inwards by up to a tenth of the side."""
    n, side = len(images), images.shape[-1]
    turn = _between(rng, "rotation", -ROTATION, ROTATION)
    sign = torch.where(rng.uniform("mirror") < MIRROR_SHARE, -1.0, 1.0)
    strength = PERSPECTIVE * (rng.uniform("perspective") < PERSPECTIVE_SHARE).float()
    tilt = [strength * _between(rng, axis, -0.5, 0.5) for axis in ("tilt x", "tilt y")]
    line = (torch.arange(side, device=images.device) + 0.5) / side * 2 - 1
    y, x = (grid.expand(n, side, side) for grid in torch.meshgrid(line, line, indexing="ij"))
    depth = 1 + tilt[0].view(-1, 1, 1) * x + tilt[1].view(-1, 1, 1) * y
    x, y = sign.view(-1, 1, 1) * x / depth, y / depth
    cos, sin = turn.cos().view(-1, 1, 1), turn.sin().view(-1, 1, 1)
    grid = torch.stack([cos * x - sin * y, sin * x + cos * y], dim=-1)
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)


def _colour(light: Tensor, rng: StepRng) -> Tensor:
    """Change brightness, contrast, saturation and hue; convert one image in a hundred to grey."""

    def factor(name: str, size: float) -> Tensor:
        return _between(rng, name, 1 - size, 1 + size).view(-1, 1, 1, 1)

    light = light * factor("brightness", BRIGHTNESS)
    mean = _grey(light).mean(dim=(2, 3), keepdim=True)
    light = mean + (light - mean) * factor("contrast", CONTRAST)
    grey = _grey(light)
    light = grey + (light - grey) * factor("saturation", SATURATION)
    light = _rotate_hue(light, 2 * math.pi * _between(rng, "hue", -HUE, HUE))
    is_grey = (rng.uniform("greyscale") < GREYSCALE_SHARE).view(-1, 1, 1, 1)
    return torch.where(is_grey, _grey(light).expand_as(light), light)


def _grey(light: Tensor) -> Tensor:
    weights = torch.tensor(_LUMA, device=light.device, dtype=light.dtype).view(1, 3, 1, 1)
    return (light * weights).sum(dim=1, keepdim=True)


def _rotate_hue(light: Tensor, angle: Tensor) -> Tensor:
    """Rotate colours about the grey axis (1, 1, 1) by an angle (n,), by Rodrigues' formula."""
    cos, sin = angle.cos().view(-1, 1, 1), angle.sin().view(-1, 1, 1)
    ones = torch.full((1, 3, 3), 1 / 3, device=light.device)
    cross = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]], device=light.device)[None] / math.sqrt(3)
    matrix = cos * torch.eye(3, device=light.device)[None] + (1 - cos) * ones + sin * cross
    return torch.einsum("nij,njhw->nihw", matrix, light)


def _erase(images: Tensor, rng: StepRng) -> Tensor:
    """Replace a rectangle of half of the images by noise."""
    side = images.shape[-1]
    area = _between(rng, "area", *ERASED_AREA)
    ratio = torch.exp(_between(rng, "ratio", *map(math.log, ERASED_RATIO)))
    height, width = ((area * ratio).sqrt().clamp(max=1.0), (area / ratio).sqrt().clamp(max=1.0))
    line = torch.arange(side, device=images.device) / side
    top, left = rng.uniform("top") * (1 - height), rng.uniform("left") * (1 - width)
    rows = (line[None] >= top[:, None]) & (line[None] < (top + height)[:, None])
    columns = (line[None] >= left[:, None]) & (line[None] < (left + width)[:, None])
    hidden = rows[:, :, None] & columns[:, None, :] & (rng.uniform("erase") < ERASING_SHARE)[:, None, None]
    noise = rng.normal("erased", tuple(images.shape[1:])).clamp(-1, 1)
    return torch.where(hidden[:, None], noise, images)
