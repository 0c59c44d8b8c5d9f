"""A small evaluation inside training: on few images, so its numbers compare only with each other."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from facebench import backbones
from facebench.faces import FaceFinder, align
from facebench.metrics import frechet_distance
from facebench.training.pictures import to_images

SMALLEST = 128
"""The face detector sees little in smaller images, so they are enlarged to this."""


class QuickEvaluation:
    """Compares made faces with the faces they should show.

    Args:
        x_0: (n, 3, s, s) the faces, in [-1, 1].
    """

    def __init__(self, x_0: Tensor) -> None:
        self.x_0 = x_0
        self._lite0 = backbones.build("lite0")
        self._sface = backbones.build("sface")
        self._finder = FaceFinder()
        images = _enlarged(x_0)
        self._features = self._read(images)
        self._people = [self._person(image) for image in images]

    def numbers(self, made: Tensor) -> dict[str, float]:
        """Compare.

        Args:
            made: (n, 3, s, s) in [-1, 1], in the order of the faces.

        Returns:
            `fd_lite0`: Fréchet distance in EfficientNet-Lite0's features, lower is better; `identity_sface`: mean
            cosine similarity of SFace embeddings where a face is found in both, higher is better; `faces_found`:
            share of made images that show a face; `mse` of the pixels in [-1, 1], lower is better.
        """
        images = _enlarged(made)
        people = [self._person(image) for image in images]
        pairs = [(a, b) for a, b in zip(self._people, people, strict=True) if a is not None and b is not None]
        found = [person for person in people if person is not None]
        return {
            "fd_lite0": float(frechet_distance(self._read(images), self._features)),
            "identity_sface": float(np.mean([a @ b for a, b in pairs])) if pairs else float("nan"),
            "faces_found": len(found) / len(people),
            "mse": float((made - self.x_0).square().mean()),
        }

    def _read(self, images: NDArray[np.uint8]) -> NDArray[np.float64]:
        batch = torch.stack([self._lite0.preprocess(image) for image in images])
        return np.asarray(self._lite0.embed(batch)["features"], np.float64)

    def _person(self, image: NDArray[np.uint8]) -> NDArray[np.float32] | None:
        face = self._finder.find(image)
        if face is None:
            return None
        crop = self._sface.preprocess(align(image, face.landmarks))
        return np.asarray(self._sface.embed(crop[None])["embedding"][0], np.float32)


def _enlarged(x: Tensor) -> NDArray[np.uint8]:
    if x.shape[-1] < SMALLEST:
        x = functional.interpolate(x, (SMALLEST, SMALLEST), mode="bicubic", align_corners=False)
    return to_images(x)
