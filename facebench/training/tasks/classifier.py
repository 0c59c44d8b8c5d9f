"""Finding editing directions: not a long training, so it does not go through the loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field

from facebench.core.errors import InputError
from facebench.training.data.sources import DataSettings, open_faces
from facebench.training.editing import directions as files
from facebench.training.editing.directions import Directions
from facebench.training.editing.fit_directions import Labels, fit
from facebench.training.editing.labels import labels_of
from facebench.training.editing.latents import EncodedFaces, encode_faces
from facebench.training.engine.model_file import device_of
from facebench.training.engine.settings import Settings
from facebench.training.models.load import open_diffae

HELD_OUT = 0.2


class ClassifierSettings(Settings):
    """Everything that decides a set of directions."""

    checkpoint: Path
    """The diffusion autoencoder."""
    data: DataSettings
    method: Literal["linear", "logistic", "lda", "svm", "ridge", "mean", "mlp"] = "linear"
    avoid: int = Field(0, ge=0)
    """Directions of identity, shape and pose that edits leave alone."""
    seed: int = Field(0, ge=0)


def find(
    settings: ClassifierSettings,
    out: Path,
    *,
    device: str = "auto",
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Path, dict[str, float]]:
    """Encode the data, find directions, and write `out`/directions.safetensors.

    Every fifth person (or image, where people are unknown) is left out and tells how well the directions order faces
    that they were not found from.

    Returns:
        The file, and for each attribute the score on held-out faces: the area under the ROC curve of a class, the
        correlation of an affect dimension; higher is better.

    Raises:
        InputError: data or labels do not allow it.
    """
    network = open_diffae(settings.checkpoint, device_of(device))
    faces = open_faces(settings.data, network.config.size)
    encoded = encode_faces(network, faces, progress=progress)
    labels = labels_of(faces, encoded)
    held = _held_out(labels, len(encoded.z_sem))
    found = fit(
        settings.method, encoded.z_sem[~held], _rows(labels, ~held), avoid=settings.avoid, seed=settings.seed
    )
    scores = _scores(found, encoded, labels, torch.from_numpy(held))
    path = out / "directions.safetensors"
    provenance: dict[str, Any] = {
        "settings": settings.model_dump(mode="json"),
        "faces": int((~held).sum()),
        "held_out": int(held.sum()),
        "scores": scores,
        "skipped": len(encoded.skipped),
    }
    files.write(path, found, provenance)
    return path, scores


def _held_out(labels: Labels, count: int) -> Any:
    groups = np.arange(count) if labels.identity is None else labels.identity
    unique, place = np.unique(groups, return_inverse=True)
    if len(unique) < round(1 / HELD_OUT):
        raise InputError(f"{len(unique)} people (or images) are too few to leave a fifth of them out.")
    return place % round(1 / HELD_OUT) == 0


def _rows(labels: Labels, rows: Any) -> Labels:
    def picked(values: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value[rows] for name, value in values.items()}

    identity = None if labels.identity is None else labels.identity[rows]
    nuisance = None if labels.nuisance is None else labels.nuisance[rows]
    return Labels(picked(labels.classes), picked(labels.affect), identity, nuisance)


def _scores(found: Directions, encoded: EncodedFaces, labels: Labels, held: torch.Tensor) -> dict[str, float]:
    from facebench.metrics import verification

    z = found.statistics.normalise(encoded.z_sem[held])
    with torch.no_grad():
        answers = z @ found.weight.T if found.weight is not None else found.network(z)  # type: ignore[misc]
    scores: dict[str, float] = {}
    for column, name in enumerate(found.attributes):
        answer = answers[:, column].double().numpy()
        if name in labels.classes:
            has = labels.classes[name][held.numpy()]
            both = has.any() and not has.all()
            scores[name] = float(verification(answer[has], answer[~has]).auc) if both else float("nan")
        else:
            scores[name] = float(np.corrcoef(answer, labels.affect[name][held.numpy()])[0, 1])
    return scores
