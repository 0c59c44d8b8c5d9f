"""Semantic codes of a whole training set, with the labels that came with the faces."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from facebench.core.errors import InputError
from facebench.images.decoding import ImageError
from facebench.training.data.faces import Face, Faces
from facebench.training.models import DiffAE


@dataclass(frozen=True, eq=False)
class EncodedFaces:
    """Codes and labels of the faces that could be read.

    Attributes:
        z_sem: (n, d) codes.
        fields: (n, ...) labels by name.
        skipped: which faces could not be read, and why.
    """

    z_sem: Tensor
    fields: dict[str, NDArray[np.generic]] = field(default_factory=dict)
    skipped: tuple[str, ...] = ()


@torch.no_grad()
def encode_faces(
    network: DiffAE, faces: Faces, *, batch: int = 64, progress: Callable[[int, int], None] | None = None
) -> EncodedFaces:
    """Encode every face of a training set.

    Raises:
        InputError: no face can be read.
    """
    device = next(network.parameters()).device
    codes: list[Tensor] = []
    kept: list[Face] = []
    skipped: list[str] = []
    for start in range(0, len(faces), batch):
        part: list[Face] = []
        for index in range(start, min(start + batch, len(faces))):
            try:
                part.append(faces.read(index))
            except ImageError as error:
                skipped.append(str(error))
        if part:
            images = torch.from_numpy(np.stack([face.image for face in part])).permute(0, 3, 1, 2)
            codes.append(network.encode((images.float() / 127.5 - 1).to(device)).cpu())
            # The pictures are not needed any more.
            kept += [Face(face.name, np.zeros((1, 1, 3), np.uint8), face.fields) for face in part]
        if progress is not None:
            progress(min(start + batch, len(faces)), len(faces))
    if not kept:
        raise InputError(f"None of the {len(faces)} faces can be read; the first: {skipped[0]}.")
    names = set.intersection(*(set(face.fields) for face in kept))
    fields = {name: np.stack([np.asarray(face.fields[name]) for face in kept]) for name in sorted(names)}
    return EncodedFaces(torch.cat(codes), fields, tuple(skipped))
