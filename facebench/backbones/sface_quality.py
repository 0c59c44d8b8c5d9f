"""SFace quality: a face quality score from the strength and stability of SFace's embedding.

Measures: usefulness of a face image for recognition, 0 (useless) to 1.
Input: aligned crop `face112`, RGB, uint8 0 to 255 as float32, and four perturbed copies.
Arrays: `quality` (n,).
Licence: Apache-2.0 (weights of SFace).
Papers: score of this project after Terhörst et al. 2020, "SER-FIQ", and Meng et al. 2021, "MagFace".
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt

from facebench.backbones.base import Crop, Image
from facebench.backbones.sface import network_of, to_input
from facebench.backbones.torch_network import TorchBackbone
from facebench.backbones.weights import WeightsSource

if TYPE_CHECKING:
    from torch import Tensor

SIDE = 112
SCALE = 10.0
"""Length of the mean embedding at which the score is 1 - 1/e."""
ROTATION = 6.0
"""Rotation of the second copy in degrees."""
COVER = slice(10, 46)
"""Rows and columns that the third copy covers with grey."""
GREY = 127.5
NOISE = 10.0
"""Standard deviation of the fourth copy's noise in grey levels."""


class SFaceQuality(TorchBackbone):
    """Quality of aligned faces from SFace: `quality` (n,), 0 to 1, higher is better.

    The raw embedding of SFace is short for faces that are hard to recognise. Embeddings of perturbed copies
    diverge on bad crops. Both effects shorten the mean embedding. Over the crop and four copies (mirrored,
    rotated by 6 degrees, a corner covered with grey, faint noise):

        quality = 1 - exp(-(|mean of the five embeddings| / 10)^2)

    The perturbations are deterministic, so a crop always has the same score. docs/face-quality.md shows the
    score under increasing damage and the alternatives that were tested.
    """

    crop: ClassVar[Crop] = "face112"
    preprocessing = "rgb-0-255-mirror-turn6-cover36-noise10-v1"
    arrays = ("quality",)
    channels_last = True

    def preprocess(self, image: Image) -> Tensor:
        """Convert an aligned crop, uint8 (112, 112, 3) RGB, to float32 (3, 112, 112), 0 to 255."""
        return to_input(image)

    def run(self, batch: Tensor) -> dict[str, Tensor]:
        """Compute raw vectors (5, n, 128) of crops (n, 3, 112, 112) and their copies."""
        import torch

        # One copy after the other: activations of all five exceed the cache of a processor.
        return {"vectors": torch.stack([self.network(copy) for copy in (batch, *perturbed(batch))])}

    def embed(self, batch: Tensor) -> dict[str, npt.NDArray[np.float32]]:
        """Compute `quality` of crops (n, 3, 112, 112)."""
        mean = super().embed(batch)["vectors"].astype(np.float64).mean(axis=0)
        return {"quality": saturate(np.linalg.norm(mean, axis=1)).astype(np.float32)}


def build(name: str, source: WeightsSource, device: str) -> SFaceQuality:
    """Build `sface-quality`; verified weights are read on first use.

    Raises:
        WeightsError: the file is missing, damaged or contains another network.
    """
    return SFaceQuality(name, network_of(source), source.used(), device)


def saturate(length: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Map lengths in [0, inf) monotonically to scores in [0, 1); length 10 gives 0.63."""
    return -np.expm1(-((length / SCALE) ** 2))


def perturbed(batch: Tensor) -> list[Tensor]:
    """Return the four copies of aligned crops (n, 3, 112, 112): mirrored, rotated, covered, noisy."""
    covered = batch.clone()
    covered[:, :, COVER, COVER] = GREY
    noisy = (batch + _noise().to(batch.device)).clamp(0, 255)
    return [batch.flip(3), _rotated(batch, ROTATION), covered, noisy]


def _rotated(batch: Tensor, degrees: float) -> Tensor:
    """Rotate about the centre with bilinear interpolation; the border is replicated."""
    import torch
    from torch.nn import functional

    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    matrix = torch.tensor([[cos, -sin, 0.0], [sin, cos, 0.0]], device=batch.device)
    grid = functional.affine_grid(matrix.expand(len(batch), 2, 3), list(batch.shape), align_corners=False)
    return functional.grid_sample(batch, grid, padding_mode="border", align_corners=False)


def _noise() -> Tensor:
    """Return the fixed noise image (3, 112, 112) in grey levels."""
    import torch

    noise = np.random.default_rng(0).normal(0, NOISE, (3, SIDE, SIDE))
    return torch.from_numpy(noise.astype(np.float32))
