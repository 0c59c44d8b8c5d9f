"""Terms of a diffusion autoencoder's loss that keep the person: prior, identity, triplet and shape.

All but the prior look at x̂₀, the clean face that x_t and the predicted eps imply, cropped as recognisers like it. The
landmarks are those of the clean face, so the crop is the same for both and gradients flow through the warp alone.
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

Read = Callable[[Tensor], Tensor]
"""Aligned crops (n, 3, 112, 112) in [-1, 1] to vectors (n, d); frozen, with gradients for the crops."""


class LossWeights(Settings):
    """Weight of each term; a term of weight 0 is not computed."""

    simple: float = Field(1.0, ge=0)
    prior: float = Field(0.0, ge=0)
    """L_simple on faces drawn from the starting checkpoint (DreamBooth)."""
    identity: float = Field(0.0, ge=0)
    """1 - cos of x̂₀ and the clean face (PortraitBooth)."""
    triplet: float = Field(0.0, ge=0)
    """x̂₀ nearer to another image of the person than to somebody else (ID-Booth)."""
    shape: float = Field(0.0, ge=0)
    """Squared difference of β of x̂₀ and the clean face."""
    margin: float = Field(1.0, ge=0)
    """Of the triplet."""
    weigh_timesteps: bool = True
    """Multiply identity, triplet and shape by (1 - t/T)²."""
    recogniser: Path | None = None
    """Model of `facebench train recognition` that identity and triplet look through."""

    @property
    def looks_at_faces(self) -> bool:
        """Whether a term needs landmarks."""
        return self.identity > 0 or self.triplet > 0 or self.shape > 0


@dataclass(frozen=True)
class Readers:
    """Frozen networks that terms look through; None where no term needs one."""

    identity: Read | None
    shape: Read | None


def open_readers(weights: LossWeights) -> Readers:
    """Open what the terms need.

    Raises:
        InputError: identity or triplet without a recogniser.
    """
    identity = shape = None
    if weights.identity or weights.triplet:
        if weights.recogniser is None:
            raise InputError(
                "loss.identity and loss.triplet need loss.recogniser: a model of `facebench train recognition`. "
                "Evaluate with another recogniser than that one."
            )
        identity = open_recogniser(weights.recogniser)
    if weights.shape:
        shape = _shape_reader()
    return Readers(identity, shape)


@dataclass(frozen=True)
class Seen:
    """What the terms of one step look at.

    Attributes:
        x_0: (n, 3, s, s) clean faces.
        x_0_hat: (n, 3, s, s) predicted ones, with gradients.
        t: (n,) timesteps.
        landmarks: (n, 5, 2) in pixels of the clean faces; NaN where no face was found.
        positive: (n, 3, s, s) other images of the same people, with `positive_landmarks`; None without triplet.
        positive_landmarks: (n, 5, 2).
        identity: (n,) numbers of the people; None without triplet.
    """

    x_0: Tensor
    x_0_hat: Tensor
    t: Tensor
    landmarks: Tensor
    positive: Tensor | None = None
    positive_landmarks: Tensor | None = None
    identity: Tensor | None = None


def face_terms(weights: LossWeights, readers: Readers, seen: Seen) -> dict[str, Tensor]:
    """The weighted terms that look at x̂₀, and how many faces they could not look at.

    A face that was not found adds nothing and still counts in the mean, so that one face's gradient does not depend
    on the others.

    Returns:
        Scalars by name: those of "identity", "triplet" and "shape" with a weight, and "without_face".
    """
    count = len(seen.x_0)
    found = torch.isfinite(seen.landmarks).flatten(1).all(dim=1)
    terms = {"without_face": (~found).sum().float()}
    if not bool(found.any()):
        return terms
    time = losses.timestep_weight(seen.t[found]) if weights.weigh_timesteps else torch.ones(int(found.sum()))
    time = time.to(seen.x_0.device)
    points = seen.landmarks[found].cpu().numpy()
    made = aligned_crop(seen.x_0_hat[found].clamp(-1, 1), points)
    clean = aligned_crop(seen.x_0[found], points)

    def mean(rows: Tensor) -> Tensor:
        return (time * rows).sum() / count

    if readers.identity is not None:
        anchor = readers.identity(made)
        if weights.identity:
            with torch.no_grad():
                target = readers.identity(clean)
            terms["identity"] = weights.identity * mean(losses.identity(anchor, target, "none"))
        if weights.triplet:
            positive, negative, usable = _triplets(readers.identity, seen, found)
            rows = losses.triplet_identity(anchor, positive, negative, weights.margin, "none")
            terms["triplet"] = weights.triplet * mean(rows * usable)
    if readers.shape is not None:
        with torch.no_grad():
            target = readers.shape(clean)
        terms["shape"] = weights.shape * mean(losses.shape(readers.shape(made), target, "none"))
    return terms


def _triplets(read: Read, seen: Seen, found: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Embeddings of the positives, of somebody else for each, and whether both exist."""
    assert seen.positive is not None
    assert seen.positive_landmarks is not None
    assert seen.identity is not None
    known = torch.isfinite(seen.positive_landmarks).flatten(1).all(dim=1)
    with torch.no_grad():
        crops = aligned_crop(seen.positive[known], seen.positive_landmarks[known].cpu().numpy())
        read_off = read(crops)
    embeddings = read_off.new_zeros(len(known), read_off.shape[1])
    embeddings[known] = read_off
    others = (seen.identity[:, None] != seen.identity[None]) & known[None]
    somebody = others.float().argmax(dim=1)
    usable = known & others.any(dim=1)
    return embeddings[found], embeddings[somebody][found], usable[found].float()


def open_recogniser(path: Path) -> Read:
    """Open a frozen recogniser: a model of `facebench train recognition`, or weights of ArcFace iresnet100.

    Raises:
        InputError: there is no such file.
        WeightsError: it holds neither.
    """
    if path.suffix in (".pth", ".pt"):
        from facebench import backbones

        network = backbones.build("arcface-iresnet100", path).network
        assert isinstance(network, nn.Module)
        return _through(network, CROP)
    trained = load_recogniser(path)
    return _through(trained.network, trained.size)


def _through(network: nn.Module, size: int) -> Read:
    def read(crops: Tensor) -> Tensor:
        embedding: Tensor = network(reduced(crops, size))
        return embedding

    return read


def _shape_reader() -> Read:
    from facebench import backbones
    from facebench.backbones.facereader import shrunk

    network = backbones.build("facereader").network
    assert isinstance(network, nn.Module)
    frozen = network

    def read(crops: Tensor) -> Tensor:
        beta: Tensor = frozen(shrunk(crops))["shape"]
        return beta

    return read
