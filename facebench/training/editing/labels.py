"""Labels of encoded faces in the form that directions are found from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facebench.synthface import expressions as synthetic
from facebench.training.data.faces import Faces
from facebench.training.data.folders import FolderFaces
from facebench.training.editing.fit_directions import Labels
from facebench.training.editing.latents import EncodedFaces

NUISANCES = ("beta", "pose", "age", "gender")
"""Fields that an edit of the expression should leave alone."""


def labels_of(faces: Faces, encoded: EncodedFaces) -> Labels:
    """What is known of encoded faces.

    Faces without an expression count as having none of the classes; faces without an identity are one person.
    """
    fields = encoded.fields
    names = faces.expressions if isinstance(faces, FolderFaces) else synthetic.names()
    classes: dict[str, NDArray[np.bool_]] = {}
    if "expression" in fields:
        numbers = fields["expression"]
        classes = {name: numbers == number for number, name in enumerate(names) if (numbers == number).any()}
    if "attributes" in fields and isinstance(faces, FolderFaces):
        classes |= {
            name: fields["attributes"][:, column].astype(bool) for column, name in enumerate(faces.attributes)
        }
    affect: dict[str, NDArray[np.float64]] = {}
    for name in ("valence", "arousal"):
        values = np.asarray(fields.get(name, np.nan), np.float64)
        if np.isfinite(values).all():
            affect[name] = values
    count = len(encoded.z_sem)
    known = [np.asarray(fields[name], np.float64).reshape(count, -1) for name in NUISANCES if name in fields]
    identity = np.asarray(fields["identity"], np.int64) if "identity" in fields else None
    return Labels(classes, affect, identity, np.concatenate(known, axis=1) if known else None)
