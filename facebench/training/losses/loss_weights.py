"""The `loss` section of the settings of an autoencoder: weights and forms of the loss terms."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from facebench.training.engine.settings import Settings

ShapeReader = Literal["deca", "emoca", "facereader"]


class TripletLoss(Settings):
    """Triplet loss of x̂₀ (ID-Booth): weight, and where its two other faces come from."""

    weight: float = Field(..., ge=0)
    positive: Literal["self", "other"] = "other"
    """Face to approach: the clean face itself, which needs no identity labels, or another image of the person."""
    negative: Literal["prior", "other"] = "other"
    """Face to avoid: the prior face of the step, which needs no identity labels, or another person of the batch."""


class ShapeLoss(Settings):
    """Loss on the shape β: weight, and the network that predicts β."""

    weight: float = Field(..., ge=0)
    reader: ShapeReader = "facereader"
    """`deca` and `emoca` need weights of their authors; `facereader` was trained on rendered faces only."""


class LossWeights(Settings):
    """Weights of the loss terms; terms of weight 0 are not computed.

    A number for `triplet` or `shape` is the weight of the default form.
    """

    simple: float = Field(1.0, ge=0)
    prior: float = Field(0.0, ge=0)
    """L_simple on faces that the initial network generates (DreamBooth)."""
    identity: float = Field(0.0, ge=0)
    """1 - cos between embeddings of x̂₀ and of the clean face (PortraitBooth)."""
    triplet: TripletLoss = TripletLoss(weight=0.0)
    shape: ShapeLoss = ShapeLoss(weight=0.0)
    """Mean squared difference between the shapes β of x̂₀ and of the clean face."""
    margin: float = Field(1.0, ge=0)
    """Margin of the triplet loss."""
    weigh_timesteps: bool = True
    """Multiply identity, triplet and shape by (1 - t/T)²."""
    recogniser: Path | None = None
    """Recogniser of the identity and triplet losses: a model of `facebench train recognition`."""

    @classmethod
    def with_current_keys(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """Rename former keys, and replace a number for `triplet` or `shape` by a mapping with this weight.

        Example:
            >>> LossWeights.with_current_keys({"shape": 0.5})
            {'shape': {'weight': 0.5}}
        """
        current = super().with_current_keys(values)
        is_number = {name: isinstance(current.get(name), int | float) for name in ("triplet", "shape")}
        return {
            name: {"weight": value} if is_number.get(name, False) else value
            for name, value in current.items()
        }

    @property
    def needs_faces(self) -> bool:
        """Whether a term compares faces, and therefore needs landmarks and boxes."""
        return self.needs_recogniser or self.shape.weight > 0

    @property
    def needs_recogniser(self) -> bool:
        """Whether a term compares embeddings."""
        return self.identity > 0 or self.triplet.weight > 0

    @property
    def needs_partners(self) -> bool:
        """Whether a term needs another image of each person."""
        return self.triplet.weight > 0 and self.triplet.positive == "other"

    @property
    def needs_other_people(self) -> bool:
        """Whether a term needs another person of the batch."""
        return self.triplet.weight > 0 and self.triplet.negative == "other"

    @property
    def needs_prior_negatives(self) -> bool:
        """Whether a term compares with prior faces."""
        return self.triplet.weight > 0 and self.triplet.negative == "prior"
