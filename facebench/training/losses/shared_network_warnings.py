"""Metrics that look through the very network that a loss looks through: they flatter whoever was trained against it."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from facebench.backbones.weights import registry
from facebench.backbones.weights.cache import path_of
from facebench.backbones.weights.digest import sha256_of
from facebench.evaluation.cards import load_cards

FACE_READER = "facereader"
NAMED = 3
"""So many metrics are named, the rest is counted."""


def warnings(recogniser: Path | None, *, shape: bool = False) -> tuple[str, ...]:
    """What people should know before they judge a model by the network that its loss looks through.

    Args:
        recogniser: file or run of the loss's recogniser; None when no loss looks through one.
        shape: whether a loss reads shapes with FaceReader.

    Returns:
        Sentences; none when no metric looks through the same weights.
    """
    found = []
    if recogniser is not None and (same := _backbones_with(recogniser)):
        found.append(_sentence(f"The recogniser of the loss ({recogniser})", same))
    if shape:
        found.append(_sentence("FaceReader, which the loss of the shape looks through,", {FACE_READER}))
    return tuple(text for text in found if text)


def _backbones_with(file: Path) -> set[str]:
    """Backbones whose weights on this machine, or by their published sha256, are this file."""
    file = file / "model.safetensors" if file.is_dir() else file
    if not file.is_file():
        return set()
    own = sha256_of(file)
    return {
        name
        for entry in registry.entries().values()
        for name in entry.backbones
        if own == entry.sha256 or _is(path_of(entry), file, own)
    }


def _is(path: Path, file: Path, sha256: str) -> bool:
    # Some weights are a gigabyte: only files of the same size are read.
    return path.is_file() and path.stat().st_size == file.stat().st_size and sha256_of(path) == sha256


def _sentence(what: str, backbones: Collection[str]) -> str:
    metrics = [name for name, card in load_cards().items() if card.reads.backbone in backbones]
    if not metrics:
        return ""
    more = f" and {len(metrics) - NAMED} more" if len(metrics) > NAMED else ""
    return (
        f"{what} is also what {', '.join(metrics[:NAMED])}{more} look through. A model that was trained against a "
        "network looks better to it than it is: judge this one by the metrics of another network."
    )
