"""Expression and pose of synthetic faces as FaceReader sees them, everything else as it is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from facebench import backbones
from facebench.backbones.base import Backbone
from facebench.backbones.face_alignment import align
from facebench.backbones.face_detection import FaceFinder
from facebench.images.image_set import ImageSet, Item
from facebench.training.rig.buffers.extractors import Found, NotFound
from facebench.training.rig.buffers.synthetic import Exact

LOOK = 128
"""Pixels per side of the image that is read, whatever the size of the buffers."""
BATCH = 32


class Compact(Exact):
    """Takes ψ, yaw and pitch from FaceReader, which reads them off the image, and the rest from the known parameters.

    It stands for a learnt extractor beside the exact one: its errors are those of a network. Roll is known, since
    the aligned crop that is read has none; FaceReader's shape is no set of sliders and is not used.

    Args:
        device: of the network.
        reader: FaceReader; the registered one by default.
    """

    name = "compact"

    def __init__(self, device: str = "cpu", reader: Backbone | None = None) -> None:
        super().__init__()
        self._reader = reader or backbones.build("facereader", device=device)
        self._finder = FaceFinder()
        self.weights = {self._reader.weights.name: self._reader.weights.sha256}

    def read(self, images: ImageSet, items: Sequence[Item], size: int) -> list[Found | NotFound]:
        """As `Exact.read`, with ψ and pose from the images; those in which no face is found have no codes."""
        found = super().read(images, items, size)
        crops: dict[int, torch.Tensor] = {}
        for place, one in enumerate(found):
            if isinstance(one, Found):
                look = self.space.photo(one.codes, LOOK)
                face = self._finder.find(look)
                if face is None:
                    found[place] = NotFound("no_face", "no face was found")
                else:
                    crops[place] = self._reader.preprocess(align(look, face.landmarks))
        places = list(crops)
        for start in range(0, len(places), BATCH):
            chosen = places[start : start + BATCH]
            read = self._reader.embed(torch.stack([crops[place] for place in chosen]))
            for row, place in enumerate(chosen):
                one = found[place]
                assert isinstance(one, Found)
                pose = one.codes["pose"].copy()
                pose[0, :2] = read["pose"][row, :2]
                psi = np.clip(read["exp"][row : row + 1], 0, 1)
                found[place] = Found(one.codes | {"psi": psi, "pose": pose}, one.photo)
        return found
