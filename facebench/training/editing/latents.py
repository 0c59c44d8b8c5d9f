"""Semantic latents of a training set, with the labels of its faces."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from facebench.core.errors import InputError
from facebench.core.progress import Progress, no_progress
from facebench.images.decoding import ImageError
from facebench.training.data.faces import Face, Faces
from facebench.training.models import DiffusionAutoencoder


@dataclass(frozen=True, eq=False)
class EncodedFaces:
    """Semantic latents and labels of the readable faces of a training set.

    Attributes:
        z_sem: (n, d) semantic latents.
        fields: labels by name, (n, ...) each.
        skipped: one message per unreadable image.
    """

    z_sem: Tensor
    fields: dict[str, NDArray[np.generic]] = field(default_factory=dict)
    skipped: tuple[str, ...] = ()


@torch.no_grad()
def encode_faces(
    network: DiffusionAutoencoder,
    faces: Faces,
    *,
    batch: int = 64,
    progress: Progress = no_progress,
) -> EncodedFaces:
    """Encode every face of a training set.

    Args:
        network: diffusion autoencoder in evaluation mode.
        faces: training set.
        batch: faces per batch.
        progress: callback invoked after each batch, in the stage `encoding`.

    Raises:
        InputError: no face can be read.
    """
    device = next(network.parameters()).device
    latents: list[Tensor] = []
    labels: list[Face] = []
    skipped: list[str] = []
    for start in range(0, len(faces), batch):
        end = min(start + batch, len(faces))
        read = _read(faces, range(start, end), skipped)
        if read:
            images = torch.from_numpy(np.stack([face.image for face in read])).permute(0, 3, 1, 2)
            latents.append(network.encode((images.float() / 127.5 - 1).to(device)).cpu())
            # Only the labels are kept; the images of a large set do not fit in memory.
            labels += [Face(face.name, np.zeros((1, 1, 3), np.uint8), face.fields) for face in read]
        progress("encoding", end, len(faces))
    if not labels:
        raise InputError(f"None of the {len(faces)} faces can be read; the first: {skipped[0]}.")
    return EncodedFaces(torch.cat(latents), _common_fields(labels), tuple(skipped))


def _read(faces: Faces, indices: range, skipped: list[str]) -> list[Face]:
    """Read faces; append a message to `skipped` for each unreadable one."""
    read = []
    for index in indices:
        try:
            read.append(faces.read(index))
        except ImageError as error:
            skipped.append(str(error))
    return read


def _common_fields(faces: list[Face]) -> dict[str, NDArray[np.generic]]:
    """Stack the fields that every face has."""
    names = set.intersection(*(set(face.fields) for face in faces))
    return {name: np.stack([np.asarray(face.fields[name]) for face in faces]) for name in sorted(names)}
