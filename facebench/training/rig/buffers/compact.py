"""Extractor that predicts expression and pose of synthetic faces with FaceReader, and keeps all other known codes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from facebench import backbones
from facebench.backbones.base import Backbone
from facebench.backbones.face_alignment import align
from facebench.backbones.face_detection import FaceFinder
from facebench.images.image_set import ImageSet, Item
from facebench.training.rig.buffers.results import Found, NotFound
from facebench.training.rig.buffers.synthetic import Exact

INPUT_SIZE = 128
"""Pixels per side of the image that is read, independent of the size of the buffers."""
BATCH = 32


class Compact(Exact):
    """Extractor with the errors of a network: ψ, yaw and pitch from FaceReader, all other codes exact.

    Roll is exact because FaceReader reads an aligned crop, which has none. FaceReader's shape codes are not sliders of
    synthface and are not used.

    Args:
        device: device of the network.
        reader: FaceReader; the registered one by default.
    """

    name = "compact"

    def __init__(self, device: str = "cpu", reader: Backbone | None = None) -> None:
        super().__init__()
        self._reader = reader or backbones.build("facereader", device=device)
        self._finder = FaceFinder()
        self.weights = {self._reader.weights.name: self._reader.weights.sha256}

    def read(self, images: ImageSet, items: Sequence[Item], size: int) -> list[Found | NotFound]:
        """Read faces as `Exact.read` does, with predicted ψ and pose; images without a detected face have no codes."""
        results = super().read(images, items, size)
        crops: dict[int, Tensor] = {}
        for number, result in enumerate(results):
            if isinstance(result, Found):
                crop = self._crop(result)
                if crop is None:
                    results[number] = NotFound("no_face", "no face was found")
                else:
                    crops[number] = crop
        numbers = list(crops)
        for start in range(0, len(numbers), BATCH):
            batch = numbers[start : start + BATCH]
            predicted = self._reader.embed(torch.stack([crops[number] for number in batch]))
            for row, number in enumerate(batch):
                exact = results[number]
                assert isinstance(exact, Found)
                results[number] = _with_prediction(exact, predicted["exp"][row], predicted["pose"][row])
        return results

    def _crop(self, result: Found) -> Tensor | None:
        """Input of FaceReader, or None when no face is detected."""
        image = self.space.photo(result.codes, INPUT_SIZE)
        face = self._finder.find(image)
        return None if face is None else self._reader.preprocess(align(image, face.landmarks))


def build(name: str, device: str) -> Compact:
    """Build the extractor with the registered FaceReader."""
    return Compact(device)


def _with_prediction(exact: Found, expression: NDArray[np.floating], pose: NDArray[np.floating]) -> Found:
    """Replace ψ, yaw and pitch."""
    new_pose = exact.codes["pose"].copy()
    new_pose[0, :2] = pose[:2]
    psi = np.clip(expression[None], 0, 1)
    return Found(exact.codes | {"psi": psi, "pose": new_pose}, exact.photo)
