"""The image at 32 x 32 pixels."""

from __future__ import annotations

import numpy as np
import torch

from facebench.backbones import build


def test_pixels_are_area_averages() -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    backbone = build("image-thumbnail")
    row = backbone.embed(torch.stack([backbone.preprocess(image)]))["pixels"][0]
    expected = image.reshape(32, 2, 32, 3, 3).mean(axis=(1, 3)) / 255
    np.testing.assert_allclose(row.reshape(32, 32, 3), expected, atol=1e-5)
