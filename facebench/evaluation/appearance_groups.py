"""Groups by appearance: `--by skin_tone`, `light_level`, `light_side`, `yaw` and `pitch`, measured in the images.

A column of the manifest with the same name has priority. No gender, age or ethnicity is inferred.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from facebench.backbones.landmark_yaw import landmark_yaw
from facebench.backbones.weights import availability
from facebench.backbones.weights.registry import WITHOUT_WEIGHTS
from facebench.core.errors import InputError
from facebench.evaluation.plan import Plan
from facebench.evaluation.role_features import RoleFeatures
from facebench.features.extraction import Extraction
from facebench.images.image_set import ImageSet
from facebench.metrics.arrays import Floats
from facebench.metrics.skin_tone import tone_class

DARK, LIGHT = 40.0, 60.0
"""L* of the skin below which a face counts as dark, and above which it counts as light."""
SIDE = 10.0
"""Difference in L* between the cheeks from which the light comes from a side."""
TURNED = 15.0
"""Yaw in degrees from which a face is turned to a side of the image."""
TILTED = 10.0
"""Pitch in degrees from which a face looks up or down."""


def _light_level(lightness: float) -> str:
    return "dark" if lightness < DARK else "medium" if lightness <= LIGHT else "light"


def _light_side(difference: float) -> str:
    return "left" if difference < -SIDE else "frontal" if difference <= SIDE else "right"


def _yaw(angle: float) -> str:
    return "left" if angle < -TURNED else "frontal" if angle <= TURNED else "right"


def _pitch(angle: float) -> str:
    return "down" if angle < -TILTED else "level" if angle <= TILTED else "up"


@dataclass(frozen=True)
class Grouping:
    """A property of faces that forms groups.

    Attributes:
        backbone: network that runs for it.
        values: the property of every item of an extraction.
        group: name of the group of a value.
    """

    backbone: str
    values: Callable[[Extraction], Floats]
    group: Callable[[float], str]


def _array(backbone: str, name: str) -> Callable[[Extraction], Floats]:
    return lambda extraction: np.asarray(extraction.arrays[backbone][name], dtype=np.float64)


def _landmark_yaws(extraction: Extraction) -> Floats:
    faces = extraction.faces
    return np.array([np.nan if face is None else landmark_yaw(face.landmarks) for face in faces])


PIXELS = "face-pixels"
GROUPINGS = {
    "skin_tone": Grouping(PIXELS, _array(PIXELS, "ita"), tone_class),
    "light_level": Grouping(PIXELS, _array(PIXELS, "lightness"), _light_level),
    "light_side": Grouping(PIXELS, _array(PIXELS, "light_side"), _light_side),
    "yaw": Grouping(PIXELS, _landmark_yaws, _yaw),
    "pitch": Grouping("headpose", _array("headpose", "pitch"), _pitch),
}
"""Groupings by name."""


def groups_by_appearance(images: ImageSet, column: str | None) -> bool:
    """Whether a column is a grouping by appearance and not a column of the manifest."""
    return column in GROUPINGS and column not in images.columns


def with_appearance(plan: Plan, column: str) -> Plan:
    """Return the plan with the backbone that the groups are read from.

    Raises:
        InputError: the weights of the backbone are missing.
    """
    backbone = GROUPINGS[column].backbone
    missing = [] if backbone in WITHOUT_WEIGHTS else availability.missing_entries(backbone)
    if missing:
        commands = "; ".join(availability.command_for(entry) for entry in missing)
        raise InputError(f"--by {column} reads {backbone}, whose weights are missing: {commands}")
    return replace(plan, grouping=(backbone,))


def add_groups(features: RoleFeatures, column: str) -> RoleFeatures:
    """Return features whose generated and reference items have the group as a column; none without a face."""
    grouping = GROUPINGS[column]
    extractions = {
        role: _with_column(extraction, column, grouping)
        if grouping.backbone in extraction.arrays
        else extraction
        for role, extraction in features.extractions.items()
    }
    return replace(features, extractions=extractions)


def _with_column(extraction: Extraction, column: str, grouping: Grouping) -> Extraction:
    values = grouping.values(extraction)
    known = extraction.valid[grouping.backbone] & np.isfinite(values)
    items = tuple(
        replace(item, columns={**item.columns, column: grouping.group(float(value))}) if is_known else item
        for item, value, is_known in zip(extraction.items, values, known, strict=True)
    )
    return replace(extraction, items=items)
