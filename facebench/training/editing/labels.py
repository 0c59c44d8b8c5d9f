"""Labels of encoded faces, as input of `fit_directions.fit`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from facebench.synthface import expressions as synthetic
from facebench.training.data.faces import Faces
from facebench.training.data.folders import FolderFaces
from facebench.training.editing.fit_directions import Labels
from facebench.training.editing.latents import EncodedFaces

NUISANCES = ("beta", "pose", "age", "gender")
"""Fields that an edit of the expression should not change."""
AFFECT = ("valence", "arousal")


def labels_of(faces: Faces, encoded: EncodedFaces) -> Labels:
    """Collect the labels of encoded faces.

    Faces without an expression are negative examples of every class. Faces without an identity count as one person.
    Valence and arousal are used only when every face has them.
    """
    fields = encoded.fields
    names = faces.expressions if isinstance(faces, FolderFaces) else synthetic.names()
    classes = _expression_classes(fields, names)
    if "attributes" in fields and isinstance(faces, FolderFaces):
        classes |= {
            name: fields["attributes"][:, column].astype(bool) for column, name in enumerate(faces.attributes)
        }
    count = len(encoded.z_sem)
    nuisances = [
        np.asarray(fields[name], np.float64).reshape(count, -1) for name in NUISANCES if name in fields
    ]
    identity = np.asarray(fields["identity"], np.int64) if "identity" in fields else None
    return Labels(
        classes, _affect(fields), identity, np.concatenate(nuisances, axis=1) if nuisances else None
    )


def _expression_classes(
    fields: Mapping[str, NDArray[np.generic]], names: Sequence[str]
) -> dict[str, NDArray[np.bool_]]:
    if "expression" not in fields:
        return {}
    numbers = fields["expression"]
    return {name: numbers == number for number, name in enumerate(names) if (numbers == number).any()}


def _affect(fields: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.float64]]:
    affect = {name: np.asarray(fields.get(name, np.nan), np.float64) for name in AFFECT}
    return {name: values for name, values in affect.items() if np.isfinite(values).all()}
