"""A small evaluation inside training: on few images, so its numbers compare only with each other."""

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
"""The face detector sees little in smaller images, so they are enlarged to this."""


class PreviewMetrics:
    """Compares made faces with the faces they should show.

    Args:
        x_0: (n, 3, s, s) the faces, in [-1, 1].
        lpips: compare with LPIPS as well, when its weights are on this machine.
    """

    def __init__(self, x_0: Tensor, *, lpips: bool = True) -> None:
        self.x_0 = x_0
        self._lite0 = backbones.build("lite0")
        self._sface = backbones.build("sface")
        self._finder = FaceFinder()
        self._lpips = backbones.build("lpips") if lpips and not _missing() else None
        images = _enlarged(x_0)
        self._features = self._read(images)
        self._people = [self._person(image) for image in images]

    def compute(self, made: Tensor) -> dict[str, float]:
        """Compare.

        Args:
            made: (n, 3, s, s) in [-1, 1], in the order of the faces.

        Returns:
            `fd_lite0`: Fréchet distance in EfficientNet-Lite0's features, lower is better; `identity_sface`: mean
            cosine similarity of SFace embeddings where a face is found in both, higher is better; `faces_found`:
            share of made images that show a face; `mse` of the pixels in [-1, 1], lower is better; `lpips`: mean
            distance as people see it, lower is better, where its weights are at hand.
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
            **({} if self._lpips is None else {"lpips": self._distance(self._lpips, made)}),
        }

    def _distance(self, lpips: Backbone, made: Tensor) -> float:
        sides = [torch.stack([lpips.preprocess(image) for image in to_images(x)]) for x in (made, self.x_0)]
        pairs = torch.stack(sides, dim=1)
        return float(np.mean([lpips.embed(part)["distance"].mean() for part in torch.split(pairs, 1)]))

    def _read(self, images: NDArray[np.uint8]) -> NDArray[np.float64]:
        batch = torch.stack([self._lite0.preprocess(image) for image in images])
        return np.asarray(self._lite0.embed(batch)["features"], np.float64)

    def _person(self, image: NDArray[np.uint8]) -> NDArray[np.float32] | None:
        face = self._finder.find(image)
        if face is None:
            return None
        crop = self._sface.preprocess(align(image, face.landmarks))
        return np.asarray(self._sface.embed(crop[None])["embedding"][0], np.float32)


def lpips_warnings() -> tuple[str, ...]:
    """What people should know about `lpips` before training starts.

    Raises:
        WeightsError: its weights are damaged.
    """
    if missing := _missing():
        names = " ".join(missing)
        return (
            f"the quick evaluation leaves out lpips, its weights are missing: facebench weights fetch {names}",
        )
    files = [resolve(entry.name) for entry in registry.needed_by("lpips")]
    if any(file.unofficial for file in files):
        return ("NOT OFFICIAL: other weights than the published ones for lpips of the quick evaluation.",)
    return ()


def _missing() -> list[str]:
    return [entry.name for entry in registry.needed_by("lpips") if not path_of(entry).is_file()]


def _enlarged(x: Tensor) -> NDArray[np.uint8]:
    if x.shape[-1] < SMALLEST:
        x = functional.interpolate(x, (SMALLEST, SMALLEST), mode="bicubic", align_corners=False)
    return to_images(x)
