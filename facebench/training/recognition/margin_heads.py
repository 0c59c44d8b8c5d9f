"""Margin softmax heads for training recognisers: CosFace, ArcFace and AdaFace.

    cos θ_j = e · w_j / (‖e‖ ‖w_j‖)
    logit_j = s cos θ_j for j ≠ y,   logit_y = s g(θ_y)
    CosFace  g = cos θ − m
    ArcFace  g = cos(θ + m)
    AdaFace  g = cos(θ − m k) − m (1 + k),   k = clip(h (‖e‖ − μ) / σ, −1, 1)
    loss = softmax cross-entropy(logits, y)

e is the embedding, w_j the prototype of identity j, y the label, m the margin and s the scale. μ and σ are the mean and
standard deviation of the norms in the batch.

Source: Wang et al. 2018 (CosFace, eq. 4), Deng et al. 2019 (ArcFace, eq. 3), Kim et al. 2022 (AdaFace, eq. 16-18).
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from facebench.core.errors import InputError

_EPSILON = 1e-3
"""AdaFace keeps cosines this far from ±1 and angles this far from 0 and π, where arccos has an infinite slope."""


class MarginHead(nn.Module):
    """Prototypes of the identities and the scale of the logits.

    Args:
        embedding_size: size of the embeddings.
        identities: number of classes.
        margin: m.
        scale: s.
    """

    def __init__(self, embedding_size: int, identities: int, *, margin: float, scale: float = 64.0) -> None:
        super().__init__()
        self.margin = margin
        self.scale = scale
        self.kernel = nn.Parameter(torch.empty(embedding_size, identities).normal_(std=0.01))

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Map raw embeddings (n, d) and their identities (n,) to logits (n, identities)."""
        cosine = functional.normalize(embeddings, dim=1) @ functional.normalize(self.kernel, dim=0)
        return self.scale * self._with_margin(cosine, labels, embeddings)

    def loss(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Mean softmax cross-entropy of the logits; lower is better."""
        return functional.cross_entropy(self(embeddings, labels), labels)

    def _with_margin(self, cosine: Tensor, labels: Tensor, embeddings: Tensor) -> Tensor:
        raise NotImplementedError


class CosFace(MarginHead):
    """Margin subtracted from the cosine: logit_y = s (cos θ_y − m); m is 0.35 in the paper.

    Example:
        >>> head = CosFace(4, 3)
        >>> head(torch.randn(2, 4), torch.tensor([0, 2])).shape
        torch.Size([2, 3])
    """

    def __init__(
        self, embedding_size: int, identities: int, *, margin: float = 0.35, scale: float = 64.0
    ) -> None:
        super().__init__(embedding_size, identities, margin=margin, scale=scale)

    def _with_margin(self, cosine: Tensor, labels: Tensor, embeddings: Tensor) -> Tensor:
        return cosine - self.margin * _one_hot(labels, cosine)


class ArcFace(MarginHead):
    """Margin added to the angle: logit_y = s cos(θ_y + m); m is 0.5 in the paper."""

    def __init__(
        self, embedding_size: int, identities: int, *, margin: float = 0.5, scale: float = 64.0
    ) -> None:
        super().__init__(embedding_size, identities, margin=margin, scale=scale)

    def _with_margin(self, cosine: Tensor, labels: Tensor, embeddings: Tensor) -> Tensor:
        # arccos is applied to the label's cosine only. Its gradient at a cosine of 1 is infinite.
        rows = torch.arange(len(labels), device=labels.device)
        angle = cosine[rows, labels].clamp(-1, 1).acos()
        return cosine.index_put((rows, labels), (angle + self.margin).cos())


class AdaFace(MarginHead):
    """Margin that adapts to image quality, measured by the norm of the embedding.

        logit_y = s [cos(θ_y − m k) − m (1 + k)],   k = clip(h (‖e‖ − μ) / σ, −1, 1)

    High-quality images (k near 1) get an additive margin on the cosine, low-quality images (k near −1) an angular one.

    With `norms="unit"` the head reproduces ID-Booth's released training. It normalises the embeddings before it takes
    their norm, so every norm is 1, k is 0, and the head equals CosFace with margin 0.4.

    Args:
        embedding_size: size of the embeddings.
        identities: number of classes.
        norms: "raw" as in the paper, "unit" as released by ID-Booth.
        margin: m.
        scale: s.
        concentration: h.
    """

    def __init__(
        self,
        embedding_size: int,
        identities: int,
        *,
        norms: Literal["raw", "unit"] = "raw",
        margin: float = 0.4,
        scale: float = 64.0,
        concentration: float = 0.333,
    ) -> None:
        super().__init__(embedding_size, identities, margin=margin, scale=scale)
        # AdaFace starts with unit prototypes. Their length sets the step size of their rotation.
        self.kernel.data = functional.normalize(torch.rand_like(self.kernel) * 2 - 1, dim=0)
        self.norms = norms
        self.concentration = concentration

    def _with_margin(self, cosine: Tensor, labels: Tensor, embeddings: Tensor) -> Tensor:
        quality = self._quality(embeddings)[:, None] * _one_hot(labels, cosine)
        cosine = cosine.clamp(-1 + _EPSILON, 1 - _EPSILON)
        angle = (cosine.acos() - self.margin * quality).clamp(_EPSILON, math.pi - _EPSILON)
        return angle.cos() - self.margin * (_one_hot(labels, cosine) + quality)

    def _quality(self, embeddings: Tensor) -> Tensor:
        """Return k = clip(h (‖e‖ − μ) / σ, −1, 1) of a batch, (n,), without gradient."""
        if self.norms == "unit":
            embeddings = functional.normalize(embeddings, dim=1)
        norms = embeddings.detach().norm(dim=1).clamp(0.001, 100)
        if len(norms) < 2:
            raise InputError("AdaFace compares the norms within a batch: it needs at least two images.")
        std = norms.std() + _EPSILON
        standardised: Tensor = (norms - norms.mean()) / std
        return (standardised * self.concentration).clamp(-1, 1)


def _one_hot(labels: Tensor, like: Tensor) -> Tensor:
    return functional.one_hot(labels, like.shape[1]).to(like.dtype)
