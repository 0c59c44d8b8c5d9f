"""Input scaling and quantised weights that both networks of face-api share."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from facebench.backbones.base import Image
from facebench.backbones.resize import to_tensor
from facebench.core.errors import InputError, WeightsError

MEAN = (122.782, 117.001, 104.298)
"""Mean of the RGB channels that face-api subtracts before it divides by 255."""
QUANTISATION = ".quantisation"
"""Suffix of the tensor (scale, minimum) that belongs to a quantised parameter."""


def scaled(image: Image, side: int, name: str) -> Tensor:
    """Convert a crop, uint8 (side, side, 3) RGB, to (x - MEAN) / 255, float32 (3, side, side).

    Raises:
        InputError: the image has another size.
    """
    if image.shape != (side, side, 3):
        raise InputError(f"{name} needs crops of {side} x {side} RGB, not an image of shape {image.shape}.")
    mean = np.array(MEAN, np.float32)
    return to_tensor((image.astype(np.float32) - mean) / np.float32(255))


def dequantised(state: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """Return the parameters as float32: value = q · scale + minimum, computed in float64.

    Args:
        state: parameters. A quantised parameter is uint8 and has a partner NAME.quantisation (scale, minimum).
        name: name of the backbone in error messages.

    Raises:
        WeightsError: a partner has another shape.

    Example:
        >>> quantised = {"w": torch.tensor([0, 2], dtype=torch.uint8), "w.quantisation": torch.tensor([0.5, -1.0])}
        >>> dequantised(quantised, "example")
        {'w': tensor([-1.,  0.])}
    """
    parameters = {}
    for key, value in state.items():
        if key.endswith(QUANTISATION):
            continue
        pair = state.get(key + QUANTISATION)
        if pair is None:
            parameters[key] = value
            continue
        if pair.shape != (2,):
            raise WeightsError(f"{name}: '{key}{QUANTISATION}' has shape {tuple(pair.shape)}, not (2,).")
        scale, minimum = pair.double()
        parameters[key] = (value.double() * scale + minimum).to(torch.float32)
    return parameters
