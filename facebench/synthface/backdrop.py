"""Procedural out-of-focus background of a face: a colour gradient with soft rectangles."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facebench.synthface.parameters import Parameters

Floats = NDArray[np.float32]


def paint(parameters: Parameters, row: int, size: int) -> Floats:
    """Render the background of one face as (3, size, size) linear RGB; it looks the same at every size."""
    rng = np.random.default_rng(int(parameters.scene[row]))
    first, second, third = parameters.background[row][:, :, None, None]
    angle = rng.uniform(0, 2 * np.pi)
    centre = (np.arange(size, dtype=np.float32) + 0.5) / size - 0.5
    x, y = centre[None, :], centre[:, None]
    ramp = 0.5 + (np.cos(angle) * x + np.sin(angle) * y) * 0.9
    image = first + (second - first) * np.clip(ramp, 0, 1).astype(np.float32)
    for _ in range(int(rng.integers(1, 6))):
        cx, cy = rng.uniform(-0.55, 0.55, 2)
        half_width, half_height = rng.uniform(0.05, 0.4, 2)
        softness = rng.uniform(0.03, 0.12)
        brightness, opacity = rng.uniform(0.6, 1.4), rng.uniform(0.15, 0.7)
        inside = _edge(half_width - np.abs(x - cx), softness) * _edge(half_height - np.abs(y - cy), softness)
        alpha = inside * np.float32(opacity)
        image += (third * np.float32(brightness) - image) * alpha
    image *= 1 - 0.35 * (x * x + y * y)
    clipped: Floats = np.clip(image, 0, 1)
    return clipped


def _edge(distance: Floats, softness: float) -> Floats:
    """Smooth step over the signed distance from an edge."""
    t = np.clip(distance * np.float32(0.5 / softness) + 0.5, 0, 1)
    smooth: Floats = (t * t * (3 - 2 * t)).astype(np.float32)
    return smooth
