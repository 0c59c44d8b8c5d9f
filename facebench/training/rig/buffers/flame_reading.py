"""Extractors DECA and EMOCA: codes of FLAME from photos."""

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
from facebench.training.rig.buffers.flame_codes import Codes
from facebench.training.rig.buffers.flame_drawing import FlameSpace
from facebench.training.rig.buffers.flame_files import read_flame, read_texture
from facebench.training.rig.buffers.images import ImageArray
from facebench.training.rig.buffers.results import Found, NotFound

INPUT_SIZE = 256
"""Pixels per side of the photo in which the face is detected and read, independent of the size of the buffers."""
BATCH = 16


class FlameReader:
    """DECA or EMOCA, with a renderer that uses the imported FLAME files.

    The middle square of a photo is resized to 256 pixels. YuNet detects the face there, and DECA's crop for a detector
    box is cut out. DECA itself uses another detector.

    Args:
        name: "deca" or "emoca".
        device: device of the network.

    Raises:
        WeightsError: the file of the encoder, of FLAME or of its texture is missing or wrong.
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
        """Read coarse codes; one result per item, in the same order."""
        prepared = [self._prepare(item, size) for item in items]
        results: dict[int, Found | NotFound] = {
            number: one for number, one in enumerate(prepared) if isinstance(one, NotFound)
        }
        crops = {number: one for number, one in enumerate(prepared) if isinstance(one, _Crop)}
        numbers = list(crops)
        for start in range(0, len(numbers), BATCH):
            batch = numbers[start : start + BATCH]
            arrays = self._network.embed(torch.stack([crops[number].pixels for number in batch]))
            for row, number in enumerate(batch):
                codes: Codes = {name: array[row : row + 1] for name, array in arrays.items()}
                crop = crops[number]
                results[number] = Found(codes | {"square": crop.square}, crop.photo)
        return [results[number] for number in range(len(items))]

    def _prepare(self, item: Item, size: int) -> NotFound | _Crop:
        try:
            image = decode(read(item), item.name)
        except ImageError as error:
            return NotFound(error.reason, error.detail)
        resized = square(image, INPUT_SIZE)
        face = self._finder.find(resized)
        if face is None:
            return NotFound("no_face", "no face was found")
        box = deca_square(face.box)
        pixels = torch.from_numpy(deca_crop(resized, box).transpose(2, 0, 1).copy())
        return _Crop(pixels, np.array([[box.left, box.top, box.side]]) / INPUT_SIZE, square(image, size))


def build(name: str, device: str) -> FlameReader:
    """Build DECA or EMOCA."""
    return FlameReader(name, device)


@dataclass(frozen=True)
class _Crop:
    """Input of the network.

    Attributes:
        pixels: input of the network.
        square: (1, 3) left, top and side of the crop as shares of the photo's side.
        photo: photo at the size of the buffers.
    """

    pixels: Tensor
    square: NDArray[np.float64]
    photo: ImageArray
