"""Training images with expression, valence and arousal, in AffectNet's class order."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from facebench.core.errors import InputError
from facebench.evaluation.expression_names import expression_name
from facebench.images.affectnet import AFFECTNET, affectnet
from facebench.images.image_set import ImageSet
from facebench.synthface import expressions
from facebench.training.data.faces import Face, Faces
from facebench.training.data.folders import FolderFaces
from facebench.training.data.sources import FolderData, SynthfaceData, open_faces
from facebench.training.data.synthetic import SynthfaceFaces
from facebench.training.engine.settings import Settings


class AffectNetData(Settings):
    """AffectNet in one of its published layouts."""

    kind: Literal["affectnet"]
    path: Path
    split: Literal["train", "val"] = "train"


AffectData = Annotated[SynthfaceData | FolderData | AffectNetData, Field(discriminator="kind")]


class AffectFaces:
    """Images with the fields `expression` (index into AffectNet's classes, or -1), `valence` and `arousal` (or NaN).

    Args:
        data: source of the images.
        size: pixels per side.
        balanced: number of images drawn once with equal numbers of every class, as far as the classes have images;
            None for all.
        seed: seed of the draw.

    Raises:
        InputError: no image has a label, or the labels have another scale than −1 to 1.
    """

    def __init__(self, data: AffectData, size: int, balanced: int | None = None, seed: int = 0) -> None:
        self.faces = _open(data, size)
        self._labels = _labels(self.faces)
        self._rows = _balanced(self._labels["expression"], balanced, seed)
        self._labels = {name: values[self._rows] for name, values in self._labels.items()}
        _check(self._labels, data)
        self.notes = _notes(self.faces, self._labels["expression"], balanced)
        """What was left out: unused classes, missing images, unknown names, classes without images."""

    def __len__(self) -> int:
        return len(self._rows)

    def labels(self, name: str) -> NDArray[np.generic]:
        """Return the labels (n,) of all images."""
        return self._labels[name]

    def read(self, index: int) -> Face:
        """Read image `index`.

        Raises:
            ImageError: the image cannot be read.
        """
        face = self.faces.read(int(self._rows[index]))
        return Face(face.name, face.image, {name: values[index] for name, values in self._labels.items()})


def _open(data: AffectData, size: int) -> Faces:
    if isinstance(data, AffectNetData):
        return FolderFaces(affectnet(data.path, data.split), size)
    return open_faces(data, size)


def _labels(faces: Faces) -> dict[str, NDArray[np.generic]]:
    if isinstance(faces, FolderFaces):
        images: ImageSet = faces.images
        names = [_class_of(text) for text in images.column("expression")]
        affect = {name: images.column(name) for name in ("valence", "arousal")}
        numbers = {
            name: np.array([float(text) if text else np.nan for text in texts], np.float32)
            for name, texts in affect.items()
        }
        return {"expression": np.array(names, np.int64), **numbers}
    assert isinstance(faces, SynthfaceFaces)
    parameters = faces.all_parameters()
    order = np.array([_class_of(name) for name in expressions.names()], np.int64)
    valence, arousal = parameters.affect.T.astype(np.float32)
    return {"expression": order[parameters.expression], "valence": valence, "arousal": arousal}


def _class_of(text: str | None) -> int:
    name = expression_name(text or "")
    return AFFECTNET.index(name) if name in AFFECTNET else -1


def _notes(faces: Faces, expression: NDArray[np.generic], balanced: int | None) -> tuple[str, ...]:
    """Return what is left out of a set, one sentence each."""
    labels, notes = expression.astype(np.int64), []
    if isinstance(faces, FolderFaces):
        images = faces.images
        notes += [f"{images.root}: {warning}" for warning in images.warnings]
        if images.rejected:
            first = images.rejected[0]
            notes.append(
                f"{images.root}: {len(images.rejected)} files are not used (first: {first.name}: {first.reason})"
            )
        texts = images.column("expression")
        unknown = [text for text in texts if text and _class_of(text) < 0]
        if unknown:
            notes.append(
                f"{images.root}: {len(unknown)} expressions are none of AffectNet's classes (first: '{unknown[0]}'); "
                "these images count only for valence and arousal"
            )
    empty = [name for index, name in enumerate(AFFECTNET) if not (labels == index).any()]
    if empty and (labels >= 0).any():
        notes.append(f"no image is labelled {', '.join(empty)}")
    if balanced is not None and len(labels) < balanced:
        notes.append(f"{len(labels):,} images are used in place of {balanced:,}: classes have too few images")
    return tuple(notes)


def _balanced(expression: NDArray[np.generic], count: int | None, seed: int) -> NDArray[np.int64]:
    if count is None:
        return np.arange(len(expression))
    rng = np.random.default_rng(seed)
    rows = []
    for index in range(len(AFFECTNET)):
        members = np.flatnonzero(expression == index)
        rows.append(rng.permutation(members)[: count // len(AFFECTNET)])
    return np.sort(np.concatenate(rows))


def _check(labels: dict[str, NDArray[np.generic]], data: AffectData) -> None:
    affect = np.concatenate([labels["valence"], labels["arousal"]]).astype(np.float64)
    known = affect[np.isfinite(affect)]
    if len(known) == 0 and not (labels["expression"].astype(np.int64) >= 0).any():
        raise InputError(f"The {data.kind} data has no expression, valence or arousal. Give a labelled set.")
