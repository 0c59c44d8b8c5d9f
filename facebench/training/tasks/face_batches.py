"""Batches of faces that several tasks use: random flips, and fixed faces for previews and evaluation."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from facebench.training.data.faces import Batch, Faces
from facebench.training.data.loading import collate, try_read
from facebench.training.engine.rng import StepRng

PREVIEW_STEPS = 20
"""DDIM steps of previews and of the evaluation during training, as in the official evaluation."""


def random_flip(x_0: Tensor, rng: StepRng) -> Tensor:
    """Mirror each image (n, 3, h, w) horizontally with probability one half."""
    mirrored = rng.uniform("flip") < 0.5
    return torch.where(mirrored.view(-1, 1, 1, 1), x_0.flip(3), x_0)


def fixed_faces(faces: Faces, count: int) -> Batch:
    """Read the same faces on every call, evenly spaced over the data; unreadable faces are left out."""
    indices = np.linspace(0, len(faces) - 1, min(count, len(faces))).astype(int).tolist()
    return collate([try_read(faces, row, index) for row, index in enumerate(indices)])
