"""Synthetic faces with their renderer parameters as regression targets, and with codes of a frozen encoder."""

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
"""Renderer parameters by group; all groups have equal weight in the loss."""
MIN_STD = 0.02
MIN_STD_EXPRESSION = 0.15
"""Lower bounds of the standard deviations, so that small movements such as gaze are not amplified."""
OTHER_IMAGE, OTHER_EXPRESSION = "other_image", "other_expression"
CODE, OTHER_CODE = "z_sem", "other_z_sem"
"""Fields of the other image of a pair, and of the codes of both images."""
ENCODING_BATCH = 64


class ParameterFaces:
    """Synthetic faces with their standardised parameters.

    Args:
        data: settings of the faces.
        size: pixels per side.
        basis: basis of head shapes.
        scale: mean and standard deviation of each group; computed from these faces when None.
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
                np.maximum(values.std(axis=0), MIN_STD_EXPRESSION if name == "expression" else MIN_STD),
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
    """Faces with the codes of a frozen encoder, which encodes each face once instead of once per epoch."""

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
    """Encode all faces, (n, code_channels); codes of images that cannot be read are zero and not used."""
    encoder.eval()
    codes: list[Tensor] = []
    for start in range(0, len(faces), ENCODING_BATCH):
        images = [_image(faces, index) for index in range(start, min(start + ENCODING_BATCH, len(faces)))]
        codes.append(encoder(torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 127.5 - 1))
    return torch.cat(codes).numpy()


def _image(faces: ParameterFaces, index: int) -> NDArray[np.uint8]:
    try:
        return faces.faces.read(index).image
    except ImageError:
        return np.zeros((faces.faces.size, faces.faces.size, 3), np.uint8)


def _groups(parameters: Parameters, basis: ShapeBasis, images: int) -> dict[str, NDArray[np.float64]]:
    """Return the parameters of each group, (n, width)."""
    people = parameters.take(np.arange(0, len(parameters), images))
    values = {
        **parameters.arrays(),
        "affect": parameters.affect,
        "shape": np.repeat(basis.code(people), images, axis=0),
    }
    count = len(parameters)
    return {
        name: np.concatenate(
            [np.asarray(values[part], np.float64).reshape(count, -1) for part in parts], axis=1
        )
        for name, parts in GROUPS.items()
    }
