"""Loss terms of a diffusion autoencoder that preserve identity: prior, identity, triplet and shape.

All terms but the prior compare aligned crops of the clean face and of x̂₀, the clean face that x_t and the predicted eps
imply. Both crops use the landmarks of the clean face, so gradients flow through the warp only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import Field
from torch import Tensor, nn

from facebench.core.errors import InputError
from facebench.training import losses
from facebench.training.data.people import CROP
from facebench.training.engine.settings import Settings
from facebench.training.losses.differentiable_crop import aligned_crop
from facebench.training.recognition.recogniser import load_recogniser, reduced

Embedder = Callable[[Tensor], Tensor]
"""Frozen network from aligned crops (n, 3, 112, 112) in [-1, 1] to vectors (n, d), with gradients for the crops."""


class LossWeights(Settings):
    """Weights of the loss terms; terms of weight 0 are not computed."""

    simple: float = Field(1.0, ge=0)
    prior: float = Field(0.0, ge=0)
    """L_simple on faces that the initial network generates (DreamBooth)."""
    identity: float = Field(0.0, ge=0)
    """1 - cos between embeddings of x̂₀ and of the clean face (PortraitBooth)."""
    triplet: float = Field(0.0, ge=0)
    """Triplet loss of x̂₀, another image of the person, and an image of another person (ID-Booth)."""
    shape: float = Field(0.0, ge=0)
    """Squared difference between the shapes β of x̂₀ and of the clean face."""
    margin: float = Field(1.0, ge=0)
    """Margin of the triplet loss."""
    weigh_timesteps: bool = True
    """Multiply identity, triplet and shape by (1 - t/T)²."""
    recogniser: Path | None = None
    """Recogniser of the identity and triplet losses: a model of `facebench train recognition`."""

    @property
    def needs_landmarks(self) -> bool:
        """Whether a term needs landmarks."""
        return self.identity > 0 or self.triplet > 0 or self.shape > 0


@dataclass(frozen=True)
class FrozenNetworks:
    """Networks of the loss terms; None where no term needs one."""

    identity: Embedder | None
    shape: Embedder | None


def open_frozen_networks(weights: LossWeights) -> FrozenNetworks:
    """Open the networks that the loss terms need.

    Raises:
        InputError: the identity or triplet loss has no recogniser.
    """
    identity = shape = None
    if weights.identity or weights.triplet:
        if weights.recogniser is None:
            raise InputError(
                "loss.identity and loss.triplet need loss.recogniser: a model of `facebench train recognition`. "
                "Use a different recogniser for evaluation."
            )
        identity = open_recogniser(weights.recogniser)
    if weights.shape:
        shape = _open_shape_network()
    return FrozenNetworks(identity, shape)


@dataclass(frozen=True)
class LossInputs:
    """Inputs of the loss terms of one step.

    Attributes:
        x_0: (n, 3, s, s) clean faces.
        x_0_hat: (n, 3, s, s) predicted faces, with gradients.
        t: (n,) timesteps.
        landmarks: (n, 5, 2) in pixels of the clean faces; NaN where no face was found.
        positive: (n, 3, s, s) other images of the same people; None without the triplet loss.
        positive_landmarks: (n, 5, 2) landmarks of these images; None without the triplet loss.
        identity: (n,) indices of the people; None without the triplet loss.
    """

    x_0: Tensor
    x_0_hat: Tensor
    t: Tensor
    landmarks: Tensor
    positive: Tensor | None = None
    positive_landmarks: Tensor | None = None
    identity: Tensor | None = None


def face_losses(weights: LossWeights, networks: FrozenNetworks, inputs: LossInputs) -> dict[str, Tensor]:
    """Compute the weighted terms that compare faces, and the number of faces without landmarks.

    Means include faces without landmarks, with a loss of 0. The gradient of one face therefore does not depend on the
    landmarks of other faces.

    Returns:
        Scalars by name: "identity", "triplet" and "shape" where they have a weight, and "without_face".
    """
    count = len(inputs.x_0)
    has_face = torch.isfinite(inputs.landmarks).flatten(1).all(dim=1)
    terms = {"without_face": (~has_face).sum().float()}
    if not bool(has_face.any()):
        return terms
    t = inputs.t[has_face]
    timestep = losses.timestep_weight(t) if weights.weigh_timesteps else torch.ones(len(t))
    timestep = timestep.to(inputs.x_0.device)
    landmarks = inputs.landmarks[has_face].cpu().numpy()
    predicted = aligned_crop(inputs.x_0_hat[has_face].clamp(-1, 1), landmarks)
    clean = aligned_crop(inputs.x_0[has_face], landmarks)

    def mean(rows: Tensor) -> Tensor:
        return (timestep * rows).sum() / count

    if networks.identity is not None:
        anchor = networks.identity(predicted)
        if weights.identity:
            with torch.no_grad():
                target = networks.identity(clean)
            terms["identity"] = weights.identity * mean(losses.identity(anchor, target, "none"))
        if weights.triplet:
            positive, negative, usable = _triplets(networks.identity, inputs, has_face)
            rows = losses.triplet_identity(anchor, positive, negative, weights.margin, "none")
            terms["triplet"] = weights.triplet * mean(rows * usable)
    if networks.shape is not None:
        with torch.no_grad():
            target = networks.shape(clean)
        terms["shape"] = weights.shape * mean(losses.shape(networks.shape(predicted), target, "none"))
    return terms


def _triplets(embed: Embedder, inputs: LossInputs, has_face: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Embed a positive and a negative for each face, and mark the faces that have both."""
    assert inputs.positive is not None
    assert inputs.positive_landmarks is not None
    assert inputs.identity is not None
    has_positive = torch.isfinite(inputs.positive_landmarks).flatten(1).all(dim=1)
    with torch.no_grad():
        landmarks = inputs.positive_landmarks[has_positive].cpu().numpy()
        positive_embeddings = embed(aligned_crop(inputs.positive[has_positive], landmarks))
    embeddings = positive_embeddings.new_zeros(len(has_positive), positive_embeddings.shape[1])
    embeddings[has_positive] = positive_embeddings
    is_negative = (inputs.identity[:, None] != inputs.identity[None]) & has_positive[None]
    negative = is_negative.float().argmax(dim=1)
    usable = has_positive & is_negative.any(dim=1)
    return embeddings[has_face], embeddings[negative][has_face], usable[has_face].float()


def open_recogniser(path: Path) -> Embedder:
    """Open a frozen recogniser: a model of `facebench train recognition`, or weights of ArcFace iresnet100.

    Raises:
        InputError: there is no such file.
        WeightsError: the file holds neither.
    """
    if path.suffix in (".pth", ".pt"):
        from facebench import backbones

        network = backbones.build("arcface-iresnet100", path).network
        assert isinstance(network, nn.Module)
        return _embedder(network, CROP)
    trained = load_recogniser(path)
    return _embedder(trained.network, trained.size)


def _embedder(network: nn.Module, size: int) -> Embedder:
    def embed(crops: Tensor) -> Tensor:
        embedding: Tensor = network(reduced(crops, size))
        return embedding

    return embed


def _open_shape_network() -> Embedder:
    from facebench import backbones
    from facebench.backbones.facereader import shrunk

    network = backbones.build("facereader").network
    assert isinstance(network, nn.Module)
    frozen = network

    def predict_shape(crops: Tensor) -> Tensor:
        beta: Tensor = frozen(shrunk(crops))["shape"]
        return beta

    return predict_shape
