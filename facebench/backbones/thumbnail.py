"""Pixels of a small copy of the image, without a network: for copies of training images.

Measures: the image itself, coarsely.
Input: whole image, RGB, resized to 32 x 32 by area averages, divided by 255.
Arrays: `pixels` (n, 3072).
Licence: Apache-2.0 (code of this project, without weights).
Paper: Torralba et al. 2008, "80 million tiny images", for the use of 32 x 32 pixels.
"""

from __future__ import annotations

import hashlib

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from facebench.backbones.base import Backbone, Image, WeightsUsed
from facebench.backbones.weights import WeightsSource

SIZE = 32


class Thumbnail(Backbone):
    """The image at 32 x 32 pixels."""

    network = None
    arrays = ("pixels",)
    preprocessing = "rgb-area-32-v1"

    def __init__(self, name: str) -> None:
        digest = hashlib.sha256(b"").hexdigest()
        self.name = name
        self.weights = WeightsUsed("none", digest, "Apache-2.0", verified=True, fingerprint="no weights")
        self.device = torch.device("cpu")

    def preprocess(self, image: Image) -> Tensor:
        """Return the small image as one row, float32 (3072,)."""
        small = cv2.resize(image.astype(np.float32), (SIZE, SIZE), interpolation=cv2.INTER_AREA)
        return torch.from_numpy(small.reshape(-1) / 255.0)

    def embed(self, batch: Tensor) -> dict[str, npt.NDArray[np.float32]]:
        """Return the rows."""
        return {"pixels": batch.cpu().numpy().astype(np.float32)}


def build(name: str, source: WeightsSource, device: str) -> Thumbnail:
    """Build `image-thumbnail`, which runs on the CPU and has no weights."""
    return Thumbnail(name)
