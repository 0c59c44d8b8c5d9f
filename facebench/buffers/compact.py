"""The expression of synthetic faces as FaceReader sees it, everything else as it is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from facebench import backbones
from facebench.alignment import align
from facebench.backbones.base import Backbone
from facebench.buffers.extractors import Found, NotFound
from facebench.buffers.synthetic import Exact
from facebench.faces import FaceFinder
from facebench.images import ImageSet, Item

LOOK = 128
"""Pixels per side of the image that is read, whatever the size of the buffers."""
BATCH = 32


class Compact(Exact):
    """Takes ψ from FaceReader, which reads it off the image, and the rest from the known parameters.

    It stands for a learnt extractor beside the exact one: its error is that of a network, and of ψ alone.

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
        """As `Exact.read`, with ψ from the images; those in which no face is found have no codes."""
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
            psi = self._reader.embed(torch.stack([crops[place] for place in chosen]))["exp"]
            for row, place in enumerate(chosen):
                one = found[place]
                assert isinstance(one, Found)
                read = np.clip(psi[row : row + 1], 0, 1)
                found[place] = Found(one.codes | {"psi": read}, one.photo)
        return found
