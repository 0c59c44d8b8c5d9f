"""Evaluation during training, on few images: its numbers are comparable within a run only."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from facebench import backbones
from facebench.backbones import Backbone
from facebench.backbones.face_detection import FaceFinder, align
from facebench.backbones.weights import path_of, registry, resolve
from facebench.metrics import frechet_distance
from facebench.training.engine.image_grid import to_images

SMALLEST = 128
"""Smaller images are enlarged to this size, because the face detector misses faces in them."""


class PreviewMetrics:
    """Compares generated faces with reference faces.

    Args:
        x_0: reference faces (n, 3, s, s) in [-1, 1].
        lpips: compute LPIPS as well, when its weights are in the cache.
    """

    def __init__(self, x_0: Tensor, *, lpips: bool = True) -> None:
        self.x_0 = x_0
        self._lite0 = backbones.build("lite0")
        self._sface = backbones.build("sface")
        self._finder = FaceFinder()
        self._lpips = backbones.build("lpips") if lpips and not _missing() else None
        images = _enlarged(x_0)
        self._reference_features = self._features(images)
        self._reference_embeddings = [self._embedding(image) for image in images]

    def compute(self, generated: Tensor) -> dict[str, float]:
        """Compute all metrics.

        Args:
            generated: generated faces (n, 3, s, s) in [-1, 1], in the order of the reference faces.

        Returns:
            `fd_lite0`: Fréchet distance of EfficientNet-Lite0 features, lower is better; `identity_sface`: mean
            cosine similarity of SFace embeddings over pairs with two detected faces, higher is better;
            `faces_found`: share of generated images with a detected face; `mse` of the pixels in [-1, 1], lower is
            better; `lpips`: mean perceptual distance, lower is better, when its weights are available.
        """
        images = _enlarged(generated)
        embeddings = [self._embedding(image) for image in images]
        pairs = [
            (a, b)
            for a, b in zip(self._reference_embeddings, embeddings, strict=True)
            if a is not None and b is not None
        ]
        return {
            "fd_lite0": float(frechet_distance(self._features(images), self._reference_features)),
            "identity_sface": float(np.mean([a @ b for a, b in pairs])) if pairs else float("nan"),
            "faces_found": sum(embedding is not None for embedding in embeddings) / len(embeddings),
            "mse": float((generated - self.x_0).square().mean()),
            **({} if self._lpips is None else {"lpips": self._mean_lpips(self._lpips, generated)}),
        }

    def _mean_lpips(self, lpips: Backbone, generated: Tensor) -> float:
        sides = [
            torch.stack([lpips.preprocess(image) for image in to_images(x)]) for x in (generated, self.x_0)
        ]
        pairs = torch.stack(sides, dim=1)
        return float(np.mean([lpips.embed(part)["distance"].mean() for part in torch.split(pairs, 1)]))

    def _features(self, images: NDArray[np.uint8]) -> NDArray[np.float64]:
        batch = torch.stack([self._lite0.preprocess(image) for image in images])
        return np.asarray(self._lite0.embed(batch)["features"], np.float64)

    def _embedding(self, image: NDArray[np.uint8]) -> NDArray[np.float32] | None:
        face = self._finder.find(image)
        if face is None:
            return None
        crop = self._sface.preprocess(align(image, face.landmarks))
        return np.asarray(self._sface.embed(crop[None])["embedding"][0], np.float32)


def lpips_warnings() -> tuple[str, ...]:
    """Return warnings about the weights of LPIPS, before training starts.

    Raises:
        WeightsError: the weights are damaged.
    """
    if missing := _missing():
        return (
            "The evaluation during training leaves out lpips, because its weights are missing. Fetch them with: "
            f"facebench weights fetch {' '.join(missing)}",
        )
    files = [resolve(entry.name) for entry in registry.needed_by("lpips")]
    if any(file.unofficial for file in files):
        return (
            "NOT OFFICIAL: lpips of the evaluation during training uses weights that differ from the published ones.",
        )
    return ()


def _missing() -> list[str]:
    return [entry.name for entry in registry.needed_by("lpips") if not path_of(entry).is_file()]


def _enlarged(x: Tensor) -> NDArray[np.uint8]:
    if x.shape[-1] < SMALLEST:
        x = functional.interpolate(x, (SMALLEST, SMALLEST), mode="bicubic", align_corners=False)
    return to_images(x)
