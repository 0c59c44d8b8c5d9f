"""Frozen networks of the loss terms: recognisers, and readers of the shape β."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from facebench.core.errors import InputError
from facebench.training.data.people import CROP
from facebench.training.losses.differentiable_crop import aligned_crop, deca_crop
from facebench.training.losses.loss_weights import LossWeights, ShapeReader
from facebench.training.recognition.recogniser import load_recogniser, reduced

Embedder = Callable[[Tensor], Tensor]
"""Frozen network from aligned crops (n, 3, 112, 112) in [-1, 1] to vectors (n, d), with gradients for the crops."""


class ShapeNetwork(Protocol):
    """Frozen network that predicts β from images, through a crop that does not depend on their pixels."""

    def __call__(
        self, images: Tensor, landmarks: npt.NDArray[np.floating], boxes: npt.NDArray[np.floating]
    ) -> Tensor:
        """Predict β (n, d) of faces.

        Args:
            images: (n, 3, h, w) in [-1, 1]; receives gradients.
            landmarks: (n, 5, 2) points (x, y) in pixels.
            boxes: (n, 4) x, y, width and height in pixels.
        """


@dataclass(frozen=True)
class FrozenNetworks:
    """Networks of the loss terms; None where no term needs one."""

    identity: Embedder | None
    shape: ShapeNetwork | None


def open_frozen_networks(weights: LossWeights) -> FrozenNetworks:
    """Open the networks that the loss terms need.

    Raises:
        InputError: the identity or triplet loss has no recogniser.
        WeightsError: the weights of a network are missing.
    """
    identity = shape = None
    if weights.needs_recogniser:
        if weights.recogniser is None:
            raise InputError(
                "loss.identity and loss.triplet need loss.recogniser: a model of `facebench train recognition`. "
                "Use a different recogniser for evaluation."
            )
        identity = open_recogniser(weights.recogniser)
    if weights.shape.weight:
        shape = open_shape_network(weights.shape.reader)
    return FrozenNetworks(identity, shape)


def open_recogniser(path: Path) -> Embedder:
    """Open a frozen recogniser: a model of `facebench train recognition`, or weights of ArcFace iresnet100.

    Raises:
        InputError: the file does not exist.
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
        embedding: Tensor = network.to(crops.device)(reduced(crops, size))
        return embedding

    return embed


def open_shape_network(reader: ShapeReader) -> ShapeNetwork:
    """Open the network that predicts β.

    EMOCA's shape encoder is DECA's, which EMOCA's training keeps fixed. Only this encoder is kept in memory.

    Raises:
        WeightsError: the weights are missing, damaged or belong to another network.
    """
    from facebench import backbones

    network = backbones.build(reader).network
    assert isinstance(network, nn.Module)
    if reader == "facereader":
        return FaceReaderShape(network)
    encoder = network.E_flame if reader == "emoca" else network
    assert isinstance(encoder, nn.Module)
    return DecaShape(encoder)


class FaceReaderShape:
    """FaceReader's β (n, 30) of the five-point crop.

    Args:
        network: `facebench.backbones.facereader.FaceReader`.
    """

    def __init__(self, network: nn.Module) -> None:
        self.network = network

    def __call__(
        self, images: Tensor, landmarks: npt.NDArray[np.floating], boxes: npt.NDArray[np.floating]
    ) -> Tensor:
        """See `ShapeNetwork`."""
        from facebench.backbones.facereader import shrunk

        crops = shrunk(aligned_crop(images, landmarks))
        beta: Tensor = self.network.to(images.device)(crops)["shape"]
        return beta


class DecaShape:
    """DECA's β (n, 100) of the square around the box.

    DECA's own `encode` disables gradients; the encoder itself does not.

    Args:
        encoder: E_flame, (n, 3, 224, 224) in [0, 1] to (n, 236).
    """

    def __init__(self, encoder: nn.Module) -> None:
        self.encoder = encoder

    def __call__(
        self, images: Tensor, landmarks: npt.NDArray[np.floating], boxes: npt.NDArray[np.floating]
    ) -> Tensor:
        """See `ShapeNetwork`."""
        from facebench.backbones.deca import CODES

        codes: Tensor = self.encoder.to(images.device)(deca_crop(images, boxes))
        return codes[:, : CODES["shape"]]
