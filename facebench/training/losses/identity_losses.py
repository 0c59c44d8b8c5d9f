"""Loss terms of a diffusion autoencoder that preserve identity: identity, triplet and shape.

All terms compare crops of the clean face and of x̂₀, the clean face that x_t and the predicted eps imply. Both crops
use the landmarks or the box of the clean face, so gradients flow through the warp only.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from facebench.training import losses
from facebench.training.losses.differentiable_crop import aligned_crop
from facebench.training.losses.frozen_networks import Embedder, FrozenNetworks, ShapeNetwork
from facebench.training.losses.loss_weights import LossWeights
from facebench.training.losses.triplets import Embeddings, embed_faces, of_other_identity, other_people


@dataclass(frozen=True)
class LossInputs:
    """Inputs of the loss terms of one step.

    Attributes:
        x_0: (n, 3, s, s) clean faces.
        x_0_hat: (n, 3, s, s) predicted faces, with gradients.
        t: (n,) timesteps.
        landmarks: (n, 5, 2) in pixels of the clean faces; NaN where no face was found.
        boxes: (n, 4) x, y, width and height of the clean faces; NaN where no face was found.
        positive: (n, 3, s, s) other images of the same people; None unless the triplet loss needs them.
        positive_landmarks: (n, 5, 2) landmarks of these images.
        identity: (n,) indices of the people; None if unknown.
        prior: embeddings of the step's prior faces; None unless the triplet loss needs them.
        prior_identity: (n,) people whose codes these prior faces have; None if they are no people of the data.
    """

    x_0: Tensor
    x_0_hat: Tensor
    t: Tensor
    landmarks: Tensor
    boxes: Tensor
    positive: Tensor | None = None
    positive_landmarks: Tensor | None = None
    identity: Tensor | None = None
    prior: Embeddings | None = None
    prior_identity: Tensor | None = None


def face_losses(weights: LossWeights, networks: FrozenNetworks, inputs: LossInputs) -> dict[str, Tensor]:
    """Compute the weighted terms that compare faces, and the number of faces without landmarks.

    Means include faces without landmarks, with a loss of 0. The gradient of one face therefore does not depend on the
    landmarks of other faces.

    Returns:
        Scalars by name: "identity", "triplet" and "shape" where they have a weight, and "without_face".
    """
    has_face = torch.isfinite(inputs.landmarks).flatten(1).all(dim=1)
    terms = {"without_face": (~has_face).sum().float()}
    if not bool(has_face.any()):
        return terms
    t = inputs.t[has_face]
    timestep = losses.timestep_weight(t) if weights.weigh_timesteps else torch.ones(len(t))
    share = timestep.to(inputs.x_0.device) / len(inputs.x_0)
    if networks.identity is not None:
        rows = _identity_rows(weights, networks.identity, inputs, has_face)
        terms |= {name: (share * values).sum() for name, values in rows.items()}
    if networks.shape is not None:
        terms["shape"] = (share * weights.shape.weight * _shape_rows(networks.shape, inputs, has_face)).sum()
    return terms


def _identity_rows(
    weights: LossWeights, embed: Embedder, inputs: LossInputs, has_face: Tensor
) -> dict[str, Tensor]:
    """Compute the weighted identity and triplet losses of the faces with landmarks."""
    rows: dict[str, Tensor] = {}
    anchor = embed(aligned_crop(_predicted(inputs, has_face), inputs.landmarks[has_face].cpu().numpy()))
    clean = embed_faces(embed, inputs.x_0, inputs.landmarks)
    if weights.identity:
        rows["identity"] = weights.identity * losses.identity(anchor, clean.vectors[has_face], "none")
    if weights.triplet.weight:
        positive = clean if weights.triplet.positive == "self" else _partners(embed, inputs)
        negative = _negatives(weights, positive, inputs)
        near, far = positive.vectors[has_face], negative.vectors[has_face]
        usable = (positive.known & negative.known)[has_face]
        triplet = losses.triplet_identity(anchor, near, far, weights.margin, "none")
        rows["triplet"] = weights.triplet.weight * triplet * usable
    return rows


def _partners(embed: Embedder, inputs: LossInputs) -> Embeddings:
    assert inputs.positive is not None
    assert inputs.positive_landmarks is not None
    return embed_faces(embed, inputs.positive, inputs.positive_landmarks)


def _negatives(weights: LossWeights, positive: Embeddings, inputs: LossInputs) -> Embeddings:
    if weights.triplet.negative == "other":
        assert inputs.identity is not None
        return other_people(positive, inputs.identity)
    assert inputs.prior is not None
    if inputs.identity is None or inputs.prior_identity is None:
        return inputs.prior
    return of_other_identity(inputs.prior, inputs.identity, inputs.prior_identity)


def _shape_rows(network: ShapeNetwork, inputs: LossInputs, has_face: Tensor) -> Tensor:
    """Compute the shape loss of the faces with landmarks, (n,)."""
    landmarks, boxes = (values[has_face].cpu().numpy() for values in (inputs.landmarks, inputs.boxes))
    with torch.no_grad():
        target = network(inputs.x_0[has_face], landmarks, boxes)
    return losses.shape(network(_predicted(inputs, has_face), landmarks, boxes), target, "none")


def _predicted(inputs: LossInputs, has_face: Tensor) -> Tensor:
    return inputs.x_0_hat[has_face].clamp(-1, 1)
