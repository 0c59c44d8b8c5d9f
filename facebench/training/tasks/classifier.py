"""Computation of editing directions; it is short and does not use the training loop."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field

from facebench.core.errors import InputError
from facebench.core.progress import Progress, no_progress
from facebench.training.data.sources import DataSettings, open_faces
from facebench.training.editing import directions as files
from facebench.training.editing.directions import Directions
from facebench.training.editing.fit_directions import Labels, fit
from facebench.training.editing.labels import labels_of
from facebench.training.editing.latents import EncodedFaces, encode_faces
from facebench.training.engine.model_file import device_of
from facebench.training.engine.settings import Settings
from facebench.training.models.load import open_autoencoder

HELD_OUT = 0.2
"""Share of people, or of images where people are unknown, for the evaluation."""


class ClassifierSettings(Settings):
    """Settings of a set of directions."""

    checkpoint: Path
    """Diffusion autoencoder that encodes the data."""
    data: DataSettings
    method: Literal["linear", "logistic", "lda", "svm", "ridge", "mean", "mlp"] = "linear"
    avoid: int = Field(0, ge=0)
    """Number of directions of identity, shape and pose that edits must not change."""
    seed: int = Field(0, ge=0)


def find(
    settings: ClassifierSettings,
    out: Path,
    *,
    device: str = "auto",
    progress: Progress = no_progress,
) -> tuple[Path, dict[str, float]]:
    """Encode the data, compute directions, and write `out`/directions.safetensors.

    Every fifth person (or image, where people are unknown) is held out for the scores.

    Returns:
        Path of the file, and the score of each attribute on held-out faces: the area under the ROC curve of a class,
        or the correlation of an affect dimension; higher is better.

    Raises:
        InputError: the data or its labels are not sufficient.
    """
    network = open_autoencoder(settings.checkpoint, device_of(device))
    faces = open_faces(settings.data, network.config.size)
    encoded = encode_faces(network, faces, progress=progress)
    labels = labels_of(faces, encoded)
    held_out = _held_out(labels, len(encoded.z_sem))
    directions = fit(
        settings.method,
        encoded.z_sem[~held_out],
        _rows(labels, ~held_out),
        avoid=settings.avoid,
        seed=settings.seed,
    )
    scores = _scores(directions, encoded, labels, torch.from_numpy(held_out))
    path = out / "directions.safetensors"
    provenance: dict[str, Any] = {
        "settings": settings.model_dump(mode="json"),
        "faces": int((~held_out).sum()),
        "held_out": int(held_out.sum()),
        "scores": scores,
        "skipped": len(encoded.skipped),
    }
    files.write(path, directions, provenance)
    return path, scores


def _held_out(labels: Labels, count: int) -> Any:
    groups = np.arange(count) if labels.identity is None else labels.identity
    unique, group_index = np.unique(groups, return_inverse=True)
    if len(unique) < round(1 / HELD_OUT):
        raise InputError(f"{len(unique)} people (or images) are too few to hold out a fifth of them.")
    return group_index % round(1 / HELD_OUT) == 0


def _rows(labels: Labels, rows: Any) -> Labels:
    def select(values: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value[rows] for name, value in values.items()}

    identity = None if labels.identity is None else labels.identity[rows]
    nuisance = None if labels.nuisance is None else labels.nuisance[rows]
    return Labels(select(labels.classes), select(labels.affect), identity, nuisance)


def _scores(
    directions: Directions, encoded: EncodedFaces, labels: Labels, held_out: torch.Tensor
) -> dict[str, float]:
    from facebench.metrics import verification

    z = directions.statistics.normalise(encoded.z_sem[held_out])
    with torch.no_grad():
        outputs = z @ directions.weight.T if directions.weight is not None else directions.network(z)  # type: ignore[misc]
    scores: dict[str, float] = {}
    for column, name in enumerate(directions.attributes):
        output = outputs[:, column].double().numpy()
        if name in labels.classes:
            positive = labels.classes[name][held_out.numpy()]
            both_classes = positive.any() and not positive.all()
            scores[name] = (
                float(verification(output[positive], output[~positive]).auc) if both_classes else float("nan")
            )
        else:
            scores[name] = float(np.corrcoef(output, labels.affect[name][held_out.numpy()])[0, 1])
    return scores
