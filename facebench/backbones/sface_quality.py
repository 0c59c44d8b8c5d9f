"""SFace quality: a face quality score from the strength and stability of SFace's embedding.

Measures: usefulness of a face image for recognition, 0 (useless) to 1.
Input: aligned crop `face112`, RGB, uint8 0 to 255 as float32, and four perturbed copies.
Arrays: `quality` (n,).
Licence: Apache-2.0 (weights of SFace).
Papers: score of this project after Terhörst et al. 2020, "SER-FIQ", and Meng et al. 2021, "MagFace".
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt

from facebench.backbones.base import Backbone, Crop, Image
from facebench.backbones.sface import SIDE, SFaceNetwork, to_input
from facebench.backbones.weights import WeightsSource

if TYPE_CHECKING:
    import torch
    from torch import Tensor

SCALE = 10.0
"""Length of the mean embedding at which the score is 1 - 1/e."""
ROTATION = 6.0
"""Rotation of the second copy in degrees."""
COVER = slice(10, 46)
"""Rows and columns that the third copy covers with grey."""
GREY = 127.5
NOISE = 10.0
"""Standard deviation of the fourth copy's noise in grey levels."""


class SFaceQuality(Backbone):
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
    network = None

    def __init__(self, name: str, source: WeightsSource) -> None:
        """Open SFace's ONNX file.

        Raises:
            WeightsError: the file is missing, damaged or contains another network.
        """
        self.name = name
        self.weights = source.used()
        self._network = SFaceNetwork(source.file())

    @cached_property
    def device(self) -> torch.device:  # type: ignore[override]
        """The device of the network, the CPU."""
        import torch

        return torch.device("cpu")

    def preprocess(self, image: Image) -> Tensor:
        """Convert an aligned crop, uint8 (112, 112, 3) RGB, to float32 (3, 112, 112), 0 to 255."""
        return to_input(image)

    def embed(self, batch: Tensor) -> dict[str, npt.NDArray[np.float32]]:
        """Compute `quality` of crops (n, 3, 112, 112)."""
        import torch

        copies = torch.cat([batch, *perturbed(batch)])
        vectors = self._network(copies).astype(np.float64)
        mean = vectors.reshape(-1, len(batch), vectors.shape[1]).mean(axis=0)
        return {"quality": saturate(np.linalg.norm(mean, axis=1)).astype(np.float32)}


def build(name: str, source: WeightsSource, device: str) -> SFaceQuality:
    """Build `sface-quality`; `device` is ignored, the network runs on the CPU."""
    return SFaceQuality(name, source)


def saturate(length: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Map lengths in [0, inf) monotonically to scores in [0, 1); length 10 gives 0.63."""
    return -np.expm1(-((length / SCALE) ** 2))


def perturbed(batch: Tensor) -> list[Tensor]:
    """Return the four copies of aligned crops (n, 3, 112, 112): mirrored, rotated, covered, noisy."""
    covered = batch.clone()
    covered[:, :, COVER, COVER] = GREY
    noisy = (batch + _noise()).clamp(0, 255)
    return [batch.flip(3), _rotated(batch, ROTATION), covered, noisy]


def _rotated(batch: Tensor, degrees: float) -> Tensor:
    """Rotate about the centre with bilinear interpolation; the border is replicated."""
    import torch
    from torch.nn import functional

    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    matrix = torch.tensor([[cos, -sin, 0.0], [sin, cos, 0.0]]).expand(len(batch), 2, 3)
    grid = functional.affine_grid(matrix, list(batch.shape), align_corners=False)
    return functional.grid_sample(batch, grid, padding_mode="border", align_corners=False)


def _noise() -> Tensor:
    """Return the fixed noise image (3, 112, 112) in grey levels."""
    import torch

    noise = np.random.default_rng(0).normal(0, NOISE, (3, SIDE, SIDE))
    return torch.from_numpy(noise.astype(np.float32))
