"""Synthetic faces with what the renderer was told of them, and with their codes by an encoder that stays as it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from facebench.images.decoding import ImageError
from facebench.synthface.parameters import Parameters
from facebench.synthface.shape import ShapeBasis
from facebench.training.data.faces import Face
from facebench.training.data.sources import SynthfaceData, open_faces
from facebench.training.data.synthetic import SynthfaceFaces

GROUPS: dict[str, tuple[str, ...]] = {
    "expression": ("psi", "affect"),
    "shape": ("shape", "age", "gender", "weight", "ancestry"),
    "look": ("albedo", "brow", "hair", "beard", "blush", "freckles"),
    "view": ("pose", "camera"),
    "scene": ("light", "lamps", "garment", "background"),
}
"""What is read, in groups that count alike however many numbers they have."""
STILL = 0.02
STILL_UNITS = 0.15
"""Smallest deviation that numbers, and units of ψ, are divided by: gaze is not blown up to a smile."""
OTHER_IMAGE, OTHER_EXPRESSION = "other_image", "other_expression"
CODE, OTHER_CODE = "z_sem", "other_z_sem"
"""Fields of a face: its pair, and what a frozen encoder reads in both."""
ENCODED_AT_ONCE = 64


class ParameterFaces:
    """Synthetic faces with their standardised parameters.

    Args:
        data: which faces.
        size: pixels per side.
        basis: of head shapes.
        scale: mean and deviation of each group; those of these faces when None.
    """

    def __init__(
        self,
        data: SynthfaceData,
        size: int,
        basis: ShapeBasis,
        scale: Mapping[str, tuple[NDArray[Any], NDArray[Any]]] | None = None,
    ) -> None:
        faces = open_faces(data, size)
        assert isinstance(faces, SynthfaceFaces)
        self.faces = faces
        raw = _groups(faces.all_parameters(), basis, data.images)
        self.scale = scale or {
            name: (
                values.mean(axis=0),
                np.maximum(values.std(axis=0), STILL_UNITS if name == "expression" else STILL),
            )
            for name, values in raw.items()
        }
        self.truth = {
            name: ((values - self.scale[name][0]) / self.scale[name][1]).astype(np.float32)
            for name, values in raw.items()
        }

    def __len__(self) -> int:
        return len(self.faces)

    def read(self, index: int) -> Face:
        """See `Faces`."""
        face = self.faces.read(index)
        fields = {name: values[index] for name, values in self.truth.items()}
        if self.faces.pairs:
            other = index ^ 1
            fields |= {
                OTHER_IMAGE: self.faces.read(other).image,
                OTHER_EXPRESSION: self.truth["expression"][other],
            }
        return Face(face.name, face.image, fields)


class CodedFaces:
    """Faces with their codes by a frozen encoder, which so looks at each of them once and not in every epoch."""

    def __init__(self, faces: ParameterFaces, encoder: nn.Module) -> None:
        self.faces = faces
        self.codes = _codes(faces, encoder)

    def __len__(self) -> int:
        return len(self.faces)

    def read(self, index: int) -> Face:
        """See `Faces`."""
        face = self.faces.read(index)
        fields = {**face.fields, CODE: self.codes[index]}
        if OTHER_IMAGE in fields:
            fields[OTHER_CODE] = self.codes[index ^ 1]
        return Face(face.name, face.image, fields)


@torch.no_grad()
def _codes(faces: ParameterFaces, encoder: nn.Module) -> NDArray[np.float32]:
    """(n, code_channels) codes of all faces; of one that cannot be read, zeros that are never used."""
    encoder.eval()
    codes: list[Tensor] = []
    for start in range(0, len(faces), ENCODED_AT_ONCE):
        images = [_image(faces, index) for index in range(start, min(start + ENCODED_AT_ONCE, len(faces)))]
        codes.append(encoder(torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 127.5 - 1))
    return torch.cat(codes).numpy()


def _image(faces: ParameterFaces, index: int) -> NDArray[np.uint8]:
    try:
        return faces.faces.read(index).image
    except ImageError:
        return np.zeros((faces.faces.size, faces.faces.size, 3), np.uint8)


def _groups(parameters: Parameters, basis: ShapeBasis, images: int) -> dict[str, NDArray[np.float64]]:
    """All numbers of each group, (n, width)."""
    people = parameters.take(np.arange(0, len(parameters), images))
    known = {
        **parameters.arrays(),
        "affect": parameters.affect,
        "shape": np.repeat(basis.code(people), images, axis=0),
    }
    count = len(parameters)
    return {
        name: np.concatenate(
            [np.asarray(known[part], np.float64).reshape(count, -1) for part in parts], axis=1
        )
        for name, parts in GROUPS.items()
    }
