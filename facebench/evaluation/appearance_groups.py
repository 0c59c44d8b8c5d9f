"""Groups by appearance: `--by skin_tone`, `--by light_level` and `--by light_side`, measured in the images themselves.

A column of the manifest with the same name has priority. No gender, age or ethnicity is inferred.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from facebench.evaluation.plan import Plan
from facebench.evaluation.role_features import RoleFeatures
from facebench.features.extraction import Extraction
from facebench.images.image_set import ImageSet
from facebench.metrics.skin_tone import tone_class

BACKBONE = "face-pixels"
DARK, LIGHT = 40.0, 60.0
"""L* of the skin below which a face counts as dark, and above which it counts as light."""
SIDE = 10.0
"""Difference in L* between the cheeks from which the light comes from a side."""


def _light_level(lightness: float) -> str:
    return "dark" if lightness < DARK else "medium" if lightness <= LIGHT else "light"


def _light_side(difference: float) -> str:
    return "left" if difference < -SIDE else "frontal" if difference <= SIDE else "right"


GROUPINGS: dict[str, tuple[str, Callable[[float], str]]] = {
    "skin_tone": ("ita", tone_class),
    "light_level": ("lightness", _light_level),
    "light_side": ("light_side", _light_side),
}
"""Name of the grouping: array of `face-pixels`, and the group of a value."""


def groups_by_appearance(images: ImageSet, column: str | None) -> bool:
    """Whether a column is a grouping by appearance and not a column of the manifest."""
    return column in GROUPINGS and column not in images.columns


def with_appearance(plan: Plan) -> Plan:
    """Return the plan with the network-free backbone that the groups are read from."""
    return replace(plan, grouping=(BACKBONE,))


def add_groups(features: RoleFeatures, column: str) -> RoleFeatures:
    """Return features whose generated and reference items have the group as a column; none without a face."""
    extractions = {
        role: _with_column(extraction, column) if BACKBONE in extraction.arrays else extraction
        for role, extraction in features.extractions.items()
    }
    return replace(features, extractions=extractions)


def _with_column(extraction: Extraction, column: str) -> Extraction:
    array, group = GROUPINGS[column]
    values = np.asarray(extraction.arrays[BACKBONE][array], dtype=np.float64)
    items = tuple(
        replace(item, columns={**item.columns, column: group(float(value))}) if is_valid else item
        for item, value, is_valid in zip(extraction.items, values, extraction.valid[BACKBONE], strict=True)
    )
    return replace(extraction, items=items)
