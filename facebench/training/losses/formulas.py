"""Losses that train a denoiser, and losses that keep the person.

Every loss is lower for better. With `reduction="mean"` it is a scalar; with "none" one number per row.
The identity losses take embeddings of a recogniser, normalised or not.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor
from torch.nn import functional

Reduction = Literal["mean", "none"]


def simple(prediction: Tensor, target: Tensor, reduction: Reduction = "mean") -> Tensor:
    """L_simple: mean squared error of the predicted eps; lower is better, 0 at best.

    Args:
        prediction: (n, ...) predicted eps.
        target: (n, ...) the noise that was added.
        reduction: "mean", or "none" for one per row.

    Returns:
        Scalar or (n,).

    Source: Ho et al. 2020, eq. 14.

    Example:
        >>> import torch
        >>> simple(torch.ones(2, 3), torch.zeros(2, 3), reduction="none")
        tensor([1., 1.])
    """
    return _reduced((prediction - target).square().flatten(1).mean(dim=1), reduction)


def prior_preservation(
    prediction: Tensor, target: Tensor, weight: float = 1.0, reduction: Reduction = "mean"
) -> Tensor:
    """L_simple of the instance images plus L_PR, that of the prior images; lower is better, 0 at best.

    Args:
        prediction: (2n, ...) predicted eps: n instance images, then n prior images.
        target: (2n, ...) the noise that was added, in the same order.
        weight: of the prior images.
        reduction: "mean", or "none" for one per pair of an instance and a prior image.

    Returns:
        Scalar or (n,): instance + weight * prior.

    Source: Ruiz et al. 2023 (DreamBooth), eq. 2; halves of the batch as in its public training scripts.
    """
    instance, prior = simple(prediction, target, "none").chunk(2)
    return _reduced(instance + weight * prior, reduction)


def identity(embedding: Tensor, target: Tensor, reduction: Reduction = "mean") -> Tensor:
    """L_ID: cosine distance of the predicted face to the true one; lower is better, 0 to 2.

    Args:
        embedding: (n, d) embeddings of the predicted faces.
        target: (n, d) embeddings of the images that were noised.
        reduction: "mean", or "none" for one per row.

    Returns:
        Scalar or (n,): 1 - cos.

    Source: PortraitBooth (Peng et al. 2024) as trained by the ID-Booth script.

    Example:
        >>> import torch
        >>> identity(torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 3.0]]))
        tensor(1.)
    """
    return _reduced(cosine_distance(embedding, target), reduction)


def triplet_identity(
    anchor: Tensor, positive: Tensor, negative: Tensor, margin: float = 1.0, reduction: Reduction = "mean"
) -> Tensor:
    """L_TID: be nearer to the person than to somebody else; lower is better, 0 to 2 + margin.

    max(d(a, p) - d(a, n) + margin, 0) with the cosine *distance* d = 1 - cos. With similarities in the same
    places the sign turns and the loss drives the person away. With the margin of 1 it is 0 only where
    cos(a, n) < cos(a, p) - 1, so in practice it always pulls.

    Args:
        anchor: (n, d) embeddings of the predicted faces.
        positive: (n, d) embeddings of the same person.
        negative: (n, d) embeddings of somebody else, such as the prior image of the batch.
        margin: by how much the person must be nearer.
        reduction: "mean", or "none" for one per row.

    Returns:
        Scalar or (n,).

    Source: Tomašević et al. 2025 (ID-Booth), as in its released training script.
    """
    pull, push = cosine_distance(anchor, positive), cosine_distance(anchor, negative)
    return _reduced((pull - push + margin).clamp(min=0), reduction)


def shape(beta: Tensor, target: Tensor, reduction: Reduction = "mean") -> Tensor:
    """L_shape: mean squared difference of the shape coefficients β; lower is better, 0 at best.

    Args:
        beta: (n, d) shape of the predicted faces, read by DECA or a compact shape encoder.
        target: (n, d) shape of the source faces, read by the same network.
        reduction: "mean", or "none" for one per row.

    Returns:
        Scalar or (n,).
    """
    return simple(beta, target, reduction)


def timestep_weight(t: Tensor, steps: int = 1000) -> Tensor:
    """Weight (1 - t/T)^2 of losses that look at x̂₀: at late timesteps it is mostly a guess.

    Args:
        t: (n,) timesteps 0..steps-1.
        steps: T.

    Returns:
        (n,) float32, from 1 at t = 0 towards 0.

    Source: the ID-Booth training script.

    Example:
        >>> import torch
        >>> timestep_weight(torch.tensor([0, 500]))
        tensor([1.0000, 0.2500])
    """
    return (1 - t.float() / steps).square()


def cosine_distance(left: Tensor, right: Tensor) -> Tensor:
    """1 - cos of each row; norms below 1e-6 count as 1e-6, as in the ID-Booth script."""
    return 1 - functional.cosine_similarity(left, right, dim=1, eps=1e-6)


def _reduced(rows: Tensor, reduction: Reduction) -> Tensor:
    return rows.mean() if reduction == "mean" else rows
