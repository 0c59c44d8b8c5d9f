"""DECA and EMOCA as readers of codes from photos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from facebench import backbones
from facebench.backbones.crops import deca_crop, deca_square
from facebench.backbones.face_detection import FaceFinder
from facebench.backbones.weights import resolve
from facebench.images.decoding import ImageError, decode
from facebench.images.image_set import ImageSet, Item, read
from facebench.training.data.folders import square
from facebench.training.rig.buffers.extractors import Found, NotFound
from facebench.training.rig.buffers.flame_codes import Codes
from facebench.training.rig.buffers.flame_drawing import FlameSpace
from facebench.training.rig.buffers.flame_files import read_flame, read_texture
from facebench.training.rig.buffers.images import Picture

LOOK = 256
"""Pixels per side of the photo in which the face is found and read, whatever the size of the buffers."""
BATCH = 16


class FlameReader:
    """Reads DECA's or EMOCA's coarse codes, and draws them with the FLAME files that the user imported.

    The middle square of a photo is brought to 256 pixels; there YuNet finds the face (DECA's own detector is
    another one), and DECA's crop for a detector's box is cut out.

    Raises:
        WeightsError: the encoder's, FLAME's or the texture's file is missing or wrong.
    """

    def __init__(self, name: str, device: str = "cpu") -> None:
        self.name = name
        flame, texture = resolve("flame"), resolve("flame-texture")
        self._network = backbones.build(name, device=device)
        self._finder = FaceFinder()
        self.space = FlameSpace(read_flame(flame.path), read_texture(texture.path))
        self.weights = {
            name: self._network.weights.sha256,
            flame.name: flame.sha256,
            texture.name: texture.sha256,
        }

    def read(self, images: ImageSet, items: Sequence[Item], size: int) -> list[Found | NotFound]:
        """Codes of the faces that could be found; every image keeps its place."""
        seen = [self._seen(item, size) for item in items]
        cuts = {place: one for place, one in enumerate(seen) if isinstance(one, _Cut)}
        found: dict[int, Found | NotFound] = {
            place: one for place, one in enumerate(seen) if isinstance(one, NotFound)
        }
        places = list(cuts)
        for start in range(0, len(places), BATCH):
            chosen = places[start : start + BATCH]
            arrays = self._network.embed(torch.stack([cuts[place].crop for place in chosen]))
            for row, place in enumerate(chosen):
                codes: Codes = {name: array[row : row + 1] for name, array in arrays.items()}
                found[place] = Found(codes | {"square": cuts[place].square}, cuts[place].photo)
        return [found[place] for place in range(len(items))]

    def _seen(self, item: Item, size: int) -> NotFound | _Cut:
        try:
            image = decode(read(item), item.name)
        except ImageError as error:
            return NotFound(error.reason, error.detail)
        look = square(image, LOOK)
        face = self._finder.find(look)
        if face is None:
            return NotFound("no_face", "no face was found")
        cut = deca_square(face.box)
        crop = torch.from_numpy(deca_crop(look, cut).transpose(2, 0, 1).copy())
        return _Cut(crop, np.array([[cut.left, cut.top, cut.side]]) / LOOK, square(image, size))


@dataclass(frozen=True)
class _Cut:
    """The network's input, where in the photo it was cut out, and the photo."""

    crop: Tensor
    square: NDArray[np.float64]
    photo: Picture
