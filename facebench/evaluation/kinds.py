"""Kinds of measurement, and the networks of each kind from the best to the simplest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from facebench.evaluation.cards import Card

Kind = Literal["fidelity", "identity", "quality", "affect", "shape", "pose", "similarity", "image"]
"""What a metric measures. `image` is everything that needs no trained weights: pixels and detected faces."""
KINDS: tuple[Kind, ...] = get_args(Kind)

RANKED: Mapping[Kind, tuple[str, ...]] = {
    "fidelity": (
        "inception-clean",
        "inception-tf",
        "inception-legacy",
        "clip-vitl14-336",
        "dinov2-vitl14",
        "dinov2-vitb14",
        "vgg16",
        "lite0",
    ),
    "identity": (
        "arcface-iresnet100",
        "arcface-antelopev2",
        "arcface-buffalo_l",
        "arcface-iresnet50",
        "arcface-iresnet18",
        "sface",
        "faceapi-recognition",
    ),
    "quality": ("crfiqa-l", "crfiqa-s", "crfiqa-s-bgr", "sface-quality"),
    "affect": (
        "emonet-8-flip",
        "emonet-5-flip",
        "emonet-8",
        "emonet-5",
        "maxvit-va",
        "maxvit-combined",
        "emotieff-b0",
        "emotieff-mbf",
        "faceapi-expression",
        "facereader",
    ),
    "shape": ("deca", "emoca", "facereader"),
    "pose": ("headpose", "headpose-id-booth"),
    "similarity": ("lpips", "clip-prompt", "clip-surroundings"),
    "image": (),
}
"""Networks by kind, best first: networks of the literature, then networks that are installed with facebench."""

_ARRAYS: Mapping[str, Kind] = {
    "valence": "affect",
    "arousal": "affect",
    "expression": "affect",
    "exp": "shape",
    "shape": "shape",
    "quality": "quality",
}
"""Kind by array, for networks with outputs of several kinds."""


def kind_of(card: Card) -> Kind:
    """Return what a metric measures.

    Example:
        >>> from facebench.evaluation.cards import find_card
        >>> kind_of(find_card("shape_distance_reader")), kind_of(find_card("cmmd")), kind_of(find_card("face_found"))
        ('shape', 'fidelity', 'image')
    """
    backbone, array = card.reads.backbone, card.reads.array
    name = array if isinstance(array, str) else array[0]
    if backbone in RANKED["fidelity"]:
        return "fidelity"
    if name in _ARRAYS:
        return _ARRAYS[name]
    return next((kind for kind in KINDS if backbone in RANKED[kind]), _kind_of_array(name))


def _kind_of_array(name: str) -> Kind:
    return {"embedding": "identity", "features": "fidelity"}.get(name, "image")  # type: ignore[return-value]


def rank_of(kind: Kind, backbone: str) -> int:
    """Return the place of a network among those of its kind; a network outside the list comes first."""
    ranked = RANKED[kind]
    return ranked.index(backbone) if backbone in ranked else -1
