"""The blurred room behind a face: soft patches and bars of light out of focus."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facebench.synthface.parameters import Parameters

Floats = NDArray[np.float32]


def paint(parameters: Parameters, row: int, size: int) -> Floats:
    """Background of one face: (3, size, size) linear RGB, the same picture at every size."""
    rng = np.random.default_rng(int(parameters.scene[row]))
    first, second, third = parameters.background[row][:, :, None, None]
    angle = rng.uniform(0, 2 * np.pi)
    centre = (np.arange(size, dtype=np.float32) + 0.5) / size - 0.5
    x, y = centre[None, :], centre[:, None]
    ramp = 0.5 + (np.cos(angle) * x + np.sin(angle) * y) * 0.9
    picture = first + (second - first) * np.clip(ramp, 0, 1).astype(np.float32)
    for _ in range(int(rng.integers(1, 6))):
        cx, cy = rng.uniform(-0.55, 0.55, 2)
        wide, high = rng.uniform(0.05, 0.4, 2)
        soft = rng.uniform(0.03, 0.12)
        bright, opaque = rng.uniform(0.6, 1.4), rng.uniform(0.15, 0.7)
        bar = _edge(wide - np.abs(x - cx), soft) * _edge(high - np.abs(y - cy), soft) * np.float32(opaque)
        picture += (third * np.float32(bright) - picture) * bar
    picture *= 1 - 0.35 * (x * x + y * y)
    clipped: Floats = np.clip(picture, 0, 1)
    return clipped


def _edge(distance: Floats, soft: float) -> Floats:
    t = np.clip(distance * np.float32(0.5 / soft) + 0.5, 0, 1)
    smooth: Floats = (t * t * (3 - 2 * t)).astype(np.float32)
    return smooth
