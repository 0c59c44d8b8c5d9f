"""Face quality from SFace alone: how strong and how stable its answer to a face is."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from facebench.backbones.base import Backbone, Crop, Image
from facebench.backbones.sface import SIDE, open_sface, to_input
from facebench.backbones.weights import Given

SCALE = 10.0
TURN = 6.0
COVER = slice(10, 46)
GREY = 127.5
NOISE = 10.0


class SFaceQuality(Backbone):
    """A score from 0 (useless to a recogniser) to 1 for an aligned face; higher is better.

    The length of SFace's raw embedding falls as a face loses what makes it recognisable, and embeddings of
    perturbed copies drift apart on a bad crop. Their mean vector is short for either reason. Over the crop
    and four copies of it - mirrored, turned by 6 degrees, with a corner covered in grey, with faint noise -

        quality = 1 - exp(-(|mean of the five embeddings| / 10)^2)

    The copies are the same for every image: the same crop always gives the same score. In the spirit of
    SER-FIQ (Terhörst et al. 2020) and MagFace (Meng et al. 2021). docs/face-quality.md shows how the score falls as
    damage grows, and which other scores were tried. Array: `quality` (n,).
    """

    crop: ClassVar[Crop] = "face112"
    preprocessing = "rgb-0-255-mirror-turn6-cover36-noise10-v1"
    arrays = ("quality",)
    network = None

    def __init__(self, name: str, given: Given) -> None:
        """Open SFace's ONNX file.

        Raises:
            WeightsError: the file is missing, damaged or holds another network.
        """
        self.name = name
        self.weights = given.used()
        self.device = torch.device("cpu")
        self._session = open_sface(given.file())

    def preprocess(self, image: Image) -> Tensor:
        """Turn an aligned crop, uint8 (112, 112, 3) RGB, into float32 (3, 112, 112), 0 to 255."""
        return to_input(image)

    def embed(self, batch: Tensor) -> dict[str, npt.NDArray[np.float32]]:
        """Score crops (n, 3, 112, 112)."""
        copies = torch.cat([batch, *perturbed(batch)])
        vectors = self._session.run(["fc1"], {"data": copies.numpy()})[0].astype(np.float64)
        mean = vectors.reshape(-1, len(batch), vectors.shape[1]).mean(axis=0)
        return {"quality": squash(np.linalg.norm(mean, axis=1)).astype(np.float32)}


def build(name: str, given: Given, device: str) -> SFaceQuality:
    """Build the score; it runs on the CPU whatever the device."""
    return SFaceQuality(name, given)


def squash(length: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Map lengths from 0 up to scores from 0 to 1, in the same order: length 10 becomes 0.63."""
    return -np.expm1(-((length / SCALE) ** 2))


def perturbed(batch: Tensor) -> list[Tensor]:
    """Copies of aligned crops (n, 3, 112, 112): mirrored, turned, partly covered, noisy."""
    covered = batch.clone()
    covered[:, :, COVER, COVER] = GREY
    noisy = (batch + _noise()).clamp(0, 255)
    return [batch.flip(3), _turned(batch, TURN), covered, noisy]


def _turned(batch: Tensor, degrees: float) -> Tensor:
    """Turn about the centre, bilinearly; the border is repeated outwards."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    matrix = torch.tensor([[cos, -sin, 0.0], [sin, cos, 0.0]]).expand(len(batch), 2, 3)
    grid = functional.affine_grid(matrix, list(batch.shape), align_corners=False)
    return functional.grid_sample(batch, grid, padding_mode="border", align_corners=False)


def _noise() -> Tensor:
    """One fixed field of noise (3, 112, 112), in grey levels."""
    field = np.random.default_rng(0).normal(0, NOISE, (3, SIDE, SIDE))
    return torch.from_numpy(field.astype(np.float32))
