"""The table of every image beside a run record."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from facebench.evaluation.curves import FeatureMap
from facebench.features.extraction import Extraction


def per_image_table(extractions: Mapping[str, Extraction], placed: FeatureMap | None = None) -> pd.DataFrame:
    """One row per image used: role, name, sha256, size, face, manifest columns, and every per-image number.

    Columns of a network are named `array:backbone`, e.g. `quality:crfiqa-s`. `map_x` and `map_y` are the places
    in the feature map, when there is one.
    """
    tables = []
    for role, extraction in extractions.items():
        table = _role_table(role, extraction)
        if placed is not None and role in placed.points:
            table[["map_x", "map_y"]] = placed.points[role].astype(np.float32)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _role_table(role: str, extraction: Extraction) -> pd.DataFrame:
    faces = extraction.faces
    columns: dict[str, object] = {
        "role": role,
        "image": [item.name for item in extraction.items],
        "sha256": extraction.sha256,
        "width": extraction.sizes[:, 0],
        "height": extraction.sizes[:, 1],
        "face_score": [np.nan if face is None else face.score for face in faces],
    }
    for place, side in enumerate(("x", "y", "width", "height")):
        columns[f"face_{side}"] = [np.nan if face is None else face.box[place] for face in faces]
    for key in sorted({key for item in extraction.items for key in item.columns}):
        columns.setdefault(key, [item.columns.get(key) for item in extraction.items])
    for backbone, arrays in extraction.arrays.items():
        for array, rows in arrays.items():
            if rows.ndim == 1:
                columns[f"{array}:{backbone}"] = np.asarray(rows, dtype=np.float32)
    return pd.DataFrame(columns)
