"""Positives and negatives of the triplet loss: embeddings, and which faces have both.

| setting | face |
|---|---|
| positive `self` | the clean face |
| positive `other` | another image of the same person |
| negative `prior` | the prior face of the step |
| negative `other` | the first other person of the batch |
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from facebench.training.losses.differentiable_crop import aligned_crop
from facebench.training.losses.frozen_networks import Embedder


@dataclass(frozen=True)
class Embeddings:
    """Embeddings (n, d), and whether each face has one (n,); rows without are zero."""

    vectors: Tensor
    known: Tensor


@torch.no_grad()
def embed_faces(embed: Embedder, images: Tensor, landmarks: Tensor) -> Embeddings:
    """Embed faces (n, 3, s, s) by their landmarks (n, 5, 2); faces with NaN have no embedding."""
    known = torch.isfinite(landmarks).flatten(1).all(dim=1)
    if not bool(known.any()):
        return Embeddings(images.new_zeros(len(images), 1), known)
    found = embed(aligned_crop(images[known], landmarks[known].cpu().numpy()))
    vectors = found.new_zeros(len(images), found.shape[1])
    vectors[known] = found
    return Embeddings(vectors, known)


def other_people(faces: Embeddings, identity: Tensor) -> Embeddings:
    """Return for each face the embedding of the first face of another person, identity (n,)."""
    is_negative = (identity[:, None] != identity[None]) & faces.known[None]
    return Embeddings(faces.vectors[is_negative.float().argmax(dim=1)], is_negative.any(dim=1))


def of_other_identity(faces: Embeddings, identity: Tensor, other: Tensor) -> Embeddings:
    """Keep the faces whose identity `other` (n,) differs from `identity` (n,)."""
    return Embeddings(faces.vectors, faces.known & (identity != other))
