"""Margin softmax heads that train recognisers: CosFace, ArcFace and AdaFace.

Each head keeps one prototype per identity and makes the right identity's logit harder to reach; the loss is
softmax cross-entropy over the logits. Sources: Wang et al. 2018 (CosFace, eq. 4), Deng et al. 2019 (ArcFace,
eq. 3), Kim et al. 2022 (AdaFace, eq. 16-18).
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from facebench.core.errors import InputError

_NEAR_ONE = 1e-3
"""AdaFace keeps cosines and angles this far from their ends, where the arc cosine has no slope."""


class MarginHead(nn.Module):
    """Prototypes of the identities, and the scale of the logits.

    Args:
        embedding_size: of the recogniser.
        identities: how many classes.
        margin: see the heads.
        scale: s, of the logits.
    """

    def __init__(self, embedding_size: int, identities: int, *, margin: float, scale: float = 64.0) -> None:
        super().__init__()
        self.margin = margin
        self.scale = scale
        self.kernel = nn.Parameter(torch.empty(embedding_size, identities).normal_(std=0.01))

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Map raw embeddings (n, d) and their identities (n,) to logits (n, identities)."""
        cosine = functional.normalize(embeddings, dim=1) @ functional.normalize(self.kernel, dim=0)
        return self.scale * self._harder(cosine, labels, embeddings)

    def loss(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Mean softmax cross-entropy of the logits; lower is better."""
        return functional.cross_entropy(self(embeddings, labels), labels)

    def _harder(self, cosine: Tensor, labels: Tensor, embeddings: Tensor) -> Tensor:
        raise NotImplementedError


class CosFace(MarginHead):
    """The margin is taken off the cosine: s (cos - m) at the label; m is 0.35 in the paper.

    Example:
        >>> head = CosFace(4, 3)
        >>> head(torch.randn(2, 4), torch.tensor([0, 2])).shape
        torch.Size([2, 3])
    """

    def __init__(
        self, embedding_size: int, identities: int, *, margin: float = 0.35, scale: float = 64.0
    ) -> None:
        super().__init__(embedding_size, identities, margin=margin, scale=scale)

    def _harder(self, cosine: Tensor, labels: Tensor, embeddings: Tensor) -> Tensor:
        return cosine - self.margin * _one_hot(labels, cosine)


class ArcFace(MarginHead):
    """The margin is added to the angle: s cos(theta + m) at the label; m is 0.5 in the paper."""

    def __init__(
        self, embedding_size: int, identities: int, *, margin: float = 0.5, scale: float = 64.0
    ) -> None:
        super().__init__(embedding_size, identities, margin=margin, scale=scale)

    def _harder(self, cosine: Tensor, labels: Tensor, embeddings: Tensor) -> Tensor:
        # Only the label's angle is taken: everywhere else the arc cosine would spoil a cosine of 1.
        rows = torch.arange(len(labels), device=labels.device)
        angle = cosine[rows, labels].clamp(-1, 1).acos()
        return cosine.index_put((rows, labels), (angle + self.margin).cos())


class AdaFace(MarginHead):
    """Easy images (large norms) get an additive margin on the cosine, hard ones an angular margin.

    How easy an image is, is read from its embedding's norm within the batch. With `norms="unit"` the head
    does what ID-Booth's released training does: embeddings are normalised before their norm is taken, so
    every norm is 1, the adaptive part vanishes and the head is CosFace with margin 0.4.

    Args:
        embedding_size: of the recogniser.
        identities: how many classes.
        norms: "raw" as the paper intends, "unit" as ID-Booth released it.
        margin: m.
        scale: s.
        concentration: h, how strongly the norm acts.
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
        # AdaFace begins with prototypes of unit length; their length sets how fast they turn.
        self.kernel.data = functional.normalize(torch.rand_like(self.kernel) * 2 - 1, dim=0)
        self.norms = norms
        self.concentration = concentration

    def _harder(self, cosine: Tensor, labels: Tensor, embeddings: Tensor) -> Tensor:
        easiness = self._easiness(embeddings)[:, None] * _one_hot(labels, cosine)
        cosine = cosine.clamp(-1 + _NEAR_ONE, 1 - _NEAR_ONE)
        angle = (cosine.acos() - self.margin * easiness).clamp(_NEAR_ONE, math.pi - _NEAR_ONE)
        return angle.cos() - self.margin * (_one_hot(labels, cosine) + easiness)

    def _easiness(self, embeddings: Tensor) -> Tensor:
        """Norms of the batch, centred and scaled by h over their deviation, in [-1, 1]; without gradient."""
        if self.norms == "unit":
            embeddings = functional.normalize(embeddings, dim=1)
        norms = embeddings.detach().norm(dim=1).clamp(0.001, 100)
        if len(norms) < 2:
            raise InputError("AdaFace compares the norms within a batch: it needs at least two images.")
        spread = norms.std() + _NEAR_ONE
        centred: Tensor = (norms - norms.mean()) / spread
        return (centred * self.concentration).clamp(-1, 1)


def _one_hot(labels: Tensor, like: Tensor) -> Tensor:
    return functional.one_hot(labels, like.shape[1]).to(like.dtype)
