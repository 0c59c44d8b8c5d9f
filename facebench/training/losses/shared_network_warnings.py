"""Warnings about metrics that use the same network as a loss, and therefore overrate the trained model."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from facebench.backbones.weights import registry
from facebench.backbones.weights.cache import path_of
from facebench.backbones.weights.digest import sha256_of
from facebench.evaluation.cards import load_cards
from facebench.training.losses.loss_weights import ShapeReader

SHAPE_READERS: Mapping[str, tuple[str, set[str]]] = {
    "facereader": ("FaceReader", {"facereader"}),
    "deca": ("DECA", {"deca", "emoca"}),
    "emoca": ("EMOCA", {"deca", "emoca"}),
}
"""Title of each reader of the shape loss, and the backbones with the same shape encoder; EMOCA's is DECA's."""
COMPACT_RECOGNISERS = {"faceapi-recognition": "faceapi", "sface": "sface"}
"""Recognisers of the compact suite, and the suffix of their metrics."""
MAX_LISTED = 3
"""Number of metrics that a warning lists by name."""


def warnings(recogniser: Path | None, shape_reader: ShapeReader | None = None) -> tuple[str, ...]:
    """Warn about metrics that use a network of the loss.

    Args:
        recogniser: file or run folder of the loss's recogniser; None if the loss uses none.
        shape_reader: network of the shape loss; None if the loss uses none.

    Returns:
        Warnings; empty if no metric uses the same weights.
    """
    texts = []
    if recogniser is not None and (backbones := _backbones_with(recogniser)):
        texts.append(_warning(f"The recogniser of the loss ({recogniser})", backbones))
    if shape_reader is not None:
        title, backbones = SHAPE_READERS[shape_reader]
        texts.append(_warning(f"{title} of the shape loss", backbones))
    return tuple(text for text in texts if text)


def _backbones_with(file: Path) -> set[str]:
    """Find backbones with the weights of this file, by their published sha256 or by the files in the cache."""
    file = file / "model.safetensors" if file.is_dir() else file
    if not file.is_file():
        return set()
    sha256 = sha256_of(file)
    return {
        name
        for entry in registry.entries().values()
        for name in entry.backbones
        if sha256 == entry.sha256 or _same_content(path_of(entry), file, sha256)
    }


def _same_content(path: Path, file: Path, sha256: str) -> bool:
    # Weights can be large, so only files of the same size are hashed.
    return path.is_file() and path.stat().st_size == file.stat().st_size and sha256_of(path) == sha256


def _warning(network: str, backbones: Collection[str]) -> str:
    metrics = [name for name, card in load_cards().items() if card.reads.backbone in backbones]
    metrics.sort(key=lambda name: not name.startswith("shape_distance"))
    if not metrics:
        return ""
    more = f" and {len(metrics) - MAX_LISTED} more" if len(metrics) > MAX_LISTED else ""
    return (
        f"{network} is also used by {', '.join(metrics[:MAX_LISTED])}{more}. These metrics overrate a model that was "
        f"trained with it. {_remedy(backbones)}"
    )


def _remedy(backbones: Collection[str]) -> str:
    """Return which metrics to use in place of those of some backbones."""
    if any(backbones == shared for _, shared in SHAPE_READERS.values()):
        return "Use metrics of another network for the evaluation."
    second = next(suffix for name, suffix in COMPACT_RECOGNISERS.items() if name not in backbones)
    return f"Evaluate with a second recogniser, such as eer_{second} and identity_similarity_{second}."
