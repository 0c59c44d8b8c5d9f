"""The blurred room behind a face: soft patches and bars of light out of focus."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facebench.synthface.parameters import Parameters

Floats = NDArray[np.float32]


def paint(parameters: Parameters, row: int, size: int) -> Floats:
    """Background of one face: (size, size, 3) linear RGB, the same picture at every size."""
    rng = np.random.default_rng(int(parameters.scene[row]))
    first, second, third = parameters.background[row]
    angle = rng.uniform(0, 2 * np.pi)
    centre = (np.arange(size, dtype=np.float32) + 0.5) / size - 0.5
    x, y = centre[None, :], centre[:, None]
    ramp = 0.5 + (np.cos(angle) * x + np.sin(angle) * y) * 0.9
    picture = first + (second - first) * np.clip(ramp, 0, 1)[..., None]
    for _ in range(int(rng.integers(1, 6))):
        cx, cy = rng.uniform(-0.55, 0.55, 2)
        wide, high = rng.uniform(0.05, 0.4, 2)
        soft = rng.uniform(0.03, 0.12)
        bar = _edge(wide - np.abs(x - cx), soft) * _edge(high - np.abs(y - cy), soft)
        picture = (
            picture + (third * rng.uniform(0.6, 1.4) - picture) * (bar * rng.uniform(0.15, 0.7))[..., None]
        )
    vignette = 1 - 0.35 * (x * x + y * y)
    return np.asarray(np.clip(picture * vignette[..., None], 0, 1), np.float32)


def _edge(distance: NDArray[np.floating], soft: float) -> NDArray[np.floating]:
    t = np.clip(distance / soft * 0.5 + 0.5, 0, 1)
    smooth: NDArray[np.floating] = t * t * (3 - 2 * t)
    return smooth
