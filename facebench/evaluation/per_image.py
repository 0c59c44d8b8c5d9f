"""Per-image table of a run record, and the per-image terms that a metric averages.

The terms allow paired comparison of two runs over the same images, and a list of the worst images.
"""

from __future__ import annotations

import functools
import math
import posixpath
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from facebench.evaluation.cards import DETECTOR, Card, load_cards
from facebench.evaluation.curves import FeatureMap
from facebench.evaluation.inputs import LINKED
from facebench.evaluation.leakage import closest_column, leakage_threshold
from facebench.evaluation.plan import PAIR_NETWORKS
from facebench.evaluation.record import Run
from facebench.evaluation.role_features import RoleFeatures
from facebench.evaluation.sample_selection import paired_roles, truth_of
from facebench.features.extraction import Extraction
from facebench.images.jpeg_null import ROLE as REENCODED
from facebench.metrics.arrays import Array, Floats
from facebench.metrics.interval import numbers
from facebench.metrics.registry import metric_function


def per_image_table(
    extractions: Mapping[str, Extraction], feature_map: FeatureMap | None = None
) -> pd.DataFrame:
    """Return one row per image: role, name, sha256, size, face, manifest columns, and every per-image number.

    Columns of a network are named `array:backbone`, such as `quality:crfiqa-s`. `map_x` and `map_y` are the
    coordinates in the feature map.
    """
    tables = []
    for role, extraction in extractions.items():
        table = _role_table(role, extraction)
        if feature_map is not None and role in feature_map.points:
            table[["map_x", "map_y"]] = feature_map.points[role].astype(np.float32)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def add_pair_terms(table: pd.DataFrame, cards: Sequence[Card], features: RoleFeatures) -> pd.DataFrame:
    """Return the table with one column for each metric of image pairs that other columns do not determine.

    The column has the id of the metric. It is NaN where a result is missing, and for all roles except the generated
    one. One example is the cosine of two embeddings, because the table does not contain embeddings.
    """
    generated = np.flatnonzero(table["role"] == "generated")
    columns = {}
    for card in cards:
        terms = _pair_terms(card, features)
        if terms is not None:
            columns[card.id] = np.full(len(table), np.nan)
            columns[card.id][generated] = terms
    return table.assign(**columns)


@dataclass(frozen=True)
class PerImageMetric:
    """A metric as a function of per-image numbers.

    Attributes:
        rows: the numbers, by image name; one column for each argument. Incomplete rows are not used.
        function: from complete rows (n, arguments) to the metric.
        terms: from complete rows to one number per image whose mean is the metric; None if it is not a mean.
    """

    rows: pd.DataFrame
    function: Callable[[Floats], float]
    terms: Callable[[Floats], Floats] | None

    def value(self) -> float:
        """Return the metric over all images."""
        return self.on(self.rows.to_numpy(dtype=np.float64))

    def on(self, rows: Floats) -> float:
        """Return the metric over some rows; NaN if no row is complete."""
        complete = rows[~np.isnan(rows).any(axis=1)]
        return self.function(complete) if len(complete) else math.nan


def per_image_metric(metric: str, run: Run) -> PerImageMetric | None:
    """Return a metric of a run as a function of its per-image table; None if the table does not determine it."""
    name, _, reference = metric.partition("@")
    card = load_cards().get(name)
    table = run.per_image
    if card is None or table is None or card.interval != "bootstrap_images" or card.over_frames is not None:
        return None
    if metric_function(card.compute).sample == "leakage":
        restored = _restore_leakage(card, reference, run)
    else:
        restored = _restore(card, table)
    if restored is None or not restored.rows.index.is_unique:
        return None
    # A table that does not reproduce the recorded value belongs to a different run.
    return restored if _is_recorded(metric, run, restored.value()) else None


def image_terms(metric: str, run: Run) -> pd.Series[Any] | None:
    """Return one number per image whose mean is the metric, by image name; None if the metric is not a mean.

    An error, a similarity and a share are means over images; a concordance and a spread are not.
    """
    restored = per_image_metric(metric, run)
    if restored is None or restored.terms is None:
        return None
    terms: pd.Series[float] = pd.Series(np.nan, index=restored.rows.index)
    complete = restored.rows.notna().all(axis=1)
    if complete.any():
        terms[complete] = restored.terms(restored.rows[complete].to_numpy(dtype=np.float64))
    return terms if _is_recorded(metric, run, terms.mean()) else None


def linked_column(table: pd.DataFrame, column: str, role: str) -> pd.Series[float] | None:
    """Return a column for every generated image, by name: of the image itself, or of its source or target.

    Returns None if the table lacks the column or the role.
    """
    generated = table[table["role"] == "generated"].set_index("image")
    if column not in generated or (role != "generated" and role not in generated):
        return None
    if role == "generated":
        return generated[column]
    values = table[table["role"] == role].drop_duplicates("image").set_index("image")[column]
    return values.reindex(generated[role].map(linked_name)).set_axis(generated.index)


def linked_name(text: object) -> str | None:
    """Return the image name of a source or target, from its cell in the manifest."""
    return posixpath.normpath(text) if isinstance(text, str) else None


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


def _pair_terms(card: Card, features: RoleFeatures) -> Floats | None:
    function = metric_function(card.compute)
    term = function.per_image.get(card.field or "mean")
    roles = paired_roles(card)
    if term is not None and "truth" in card.needs and card.reads.array == "expression":
        rows, valid = features.rows("generated", card.reads.backbone, "expression")
        partner: Array = truth_of(card, features)
        partner_valid = ~np.isnan(partner)
    elif term is None or roles is None or any(role not in features.extractions for role in roles):
        return None
    else:
        (rows, valid), (partner, partner_valid) = (
            features.partner_rows(role, card.reads.backbone, str(card.reads.array)) for role in roles
        )
        if rows.ndim == 1 and REENCODED not in roles:
            return None  # The table contains the numbers of both images.
    both = valid & partner_valid & features.selected_generated
    terms = np.full(len(both), np.nan)
    if both.any():
        terms[both] = term(*function.order(generated=rows[both], partner=partner[both]), **card.params)
    return terms


def _restore(card: Card, table: pd.DataFrame) -> PerImageMetric | None:
    """Return a metric that is a function of columns of the table."""
    if card.id in table:
        return _mean_of(table[table["role"] == "generated"].set_index("image")[[card.id]])
    rows = _argument_columns(card, table)
    if rows is None:
        return None
    function = metric_function(card.compute)
    bound = functools.partial(function.function, **card.params)
    term = function.per_image.get(card.field or "mean")

    def arguments(values: Floats) -> list[Floats]:
        return function.order(**dict(zip(("generated", "partner"), values.T, strict=False)))

    def value(values: Floats) -> float:
        fields = numbers(bound(*arguments(values)))
        return fields[card.field or ("value" if "value" in fields else "mean")]

    return PerImageMetric(rows, value, None if term is None else lambda values: term(*arguments(values)))


def _restore_leakage(card: Card, reference: str, run: Run) -> PerImageMetric | None:
    """Return the mean cosine to the closest training face, or the share of faces above the threshold of the run."""
    column = closest_column(card.reads.backbone, reference)
    table = run.per_image
    if table is None or column not in table or card.field not in ("share", "similarity"):
        return None
    cosines = table[table["role"] == "generated"].set_index("image")[[column]]
    if card.field == "similarity":
        return _mean_of(cosines)
    threshold = leakage_threshold(card.reads.backbone, reference, run)
    if threshold is None:
        return None
    return _mean_of((cosines >= threshold).astype(float).where(cosines.notna()))


def _mean_of(rows: pd.DataFrame) -> PerImageMetric:
    return PerImageMetric(rows, lambda values: float(values.mean()), lambda values: values[:, 0])


def _is_recorded(metric: str, run: Run, value: float) -> bool:
    recorded = run.metrics[metric].value
    return recorded is not None and math.isclose(value, recorded, rel_tol=1e-6, abs_tol=1e-9)


def _argument_columns(card: Card, table: pd.DataFrame) -> pd.DataFrame | None:
    """Return the columns that are the arguments of the metric: generated, then partner; None if one is missing."""
    if not isinstance(card.reads.array, str) or set(card.needs) - {"truth", *LINKED}:
        return None
    generated = table[table["role"] == "generated"].set_index("image")
    columns = [_image_numbers(card, table, generated, role) for role in paired_roles(card) or ("generated",)]
    if "truth" in card.needs and card.reads.backbone not in PAIR_NETWORKS:
        truth = generated.get(card.reads.array)
        columns.append(None if truth is None else pd.to_numeric(truth, errors="coerce"))
    if any(column is None for column in columns):
        return None
    arrays = [column.to_numpy(dtype=np.float64) for column in columns if column is not None]
    return pd.DataFrame(np.column_stack(arrays), index=generated.index)


def _image_numbers(
    card: Card, table: pd.DataFrame, generated: pd.DataFrame, role: str
) -> pd.Series[float] | None:
    """Return one number for each generated image: of the image, or of its partner in a role."""
    if card.reads.backbone != DETECTOR:
        return linked_column(table, f"{card.reads.array}:{card.reads.backbone}", role)
    if role != "generated" or "face_score" not in generated:
        return None
    score = generated["face_score"]
    return score.notna().astype(float) if card.reads.array == "found" else score
