"""Weights and input scaling that both networks of face-api share."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from facebench.backbones.faceapi import dequantised, scaled
from facebench.core.errors import InputError, WeightsError


def test_quantised_weights_are_scale_times_integer_plus_minimum() -> None:
    state = {
        "a": torch.tensor([0, 255], dtype=torch.uint8),
        "a.quantisation": torch.tensor([0.01, -1.0], dtype=torch.float64),
        "b": torch.tensor([0.25]),
    }
    weights = dequantised(state, "example")
    assert set(weights) == {"a", "b"}
    torch.testing.assert_close(weights["a"], torch.tensor([-1.0, 1.55]))
    assert weights["b"] is state["b"]


def test_a_wrong_quantisation_names_the_parameter() -> None:
    state = {"a": torch.zeros(2, dtype=torch.uint8), "a.quantisation": torch.zeros(3)}
    with pytest.raises(WeightsError, match=r"a\.quantisation.*\(3,\)"):
        dequantised(state, "example")


def test_the_mean_colour_becomes_zero() -> None:
    image = np.full((4, 4, 3), (123, 117, 104), np.uint8)
    assert scaled(image, 4, "example").abs().max() < 0.002


def test_another_size_is_refused() -> None:
    with pytest.raises(InputError, match="crops of 112 x 112"):
        scaled(np.zeros((64, 64, 3), np.uint8), 112, "faceapi-expression")
