"""Features of every role of a run, and the source or target of each generated image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from facebench.evaluation.cards import DETECTOR
from facebench.evaluation.statistics import ReferenceStatistics
from facebench.features.extraction import Extraction
from facebench.images.image_set import ImageSet
from facebench.images.names import normal_form

Rows = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Links = npt.NDArray[np.int64]


@dataclass(frozen=True)
class RoleFeatures:
    """Extracted features by role, with the selected images.

    Attributes:
        extractions: by role: `generated`, `reference` or `reference:NAME`, `source`, `target`, `reconstruction`,
            `reencoded`.
        links: by linked role, for each generated item the row of its partner in that role, or -1.
        selected: by role, which items are used; all items if the role is absent.
        subject: the identity whose pairs are compared; None for all identities.
        unit: what is resampled for intervals; `auto` chooses it from the identities and links.
        statistics: reference statistics by role, in place of reference images.
    """

    extractions: dict[str, Extraction]
    links: dict[str, Links]
    selected: Mapping[str, Mask] = field(default_factory=dict)
    subject: str | None = None
    unit: Literal["auto", "image", "identity", "source", "target", "source-target"] = "auto"
    statistics: Mapping[str, ReferenceStatistics] = field(default_factory=dict)

    def rows(self, role: str, backbone: str, array: str) -> tuple[Rows, Mask]:
        """Return all rows of one array of a role, and a mask of the selected rows with a result."""
        extraction = self.extractions[role]
        rows, valid = (
            _detector_rows(extraction, array)
            if backbone == DETECTOR
            else (extraction.arrays[backbone][array], extraction.valid[backbone])
        )
        return rows, valid & self.selected[role] if role in self.selected else valid

    def partner_rows(self, role: str, backbone: str, array: str) -> tuple[Rows, Mask]:
        """Return, for every generated item, the row of its partner in a role, and a mask of existing results."""
        rows, valid = self.rows(role, backbone, array)
        if role == "generated":
            return rows, valid
        partner = self.links[role]
        return rows[partner], (partner >= 0) & valid[partner]

    def select(self, selected: Mapping[str, Mask]) -> RoleFeatures:
        """Return the same features with a different selection of items."""
        return replace(self, selected=selected)

    def for_subject(self, identity: str) -> RoleFeatures:
        """Return the same features, restricted to pairs with one identity."""
        return replace(self, subject=normal_form(identity))

    @property
    def selected_generated(self) -> Mask:
        """Mask of the selected generated items."""
        every = np.ones(len(self.extractions["generated"].items), dtype=np.bool_)
        return self.selected.get("generated", every)

    @property
    def reference_names(self) -> list[str]:
        """Names of the named reference sets."""
        roles = [*self.extractions, *self.statistics]
        return [role.partition(":")[2] for role in roles if role.startswith("reference:")]

    def with_reference(self, name: str) -> RoleFeatures:
        """Return the same features with one named reference set in the role `reference`."""
        role = f"reference:{name}"
        selected = (
            {**self.selected, "reference": self.selected[role]} if role in self.selected else self.selected
        )
        if role in self.statistics:
            return replace(self, statistics={**self.statistics, "reference": self.statistics[role]})
        extractions = {**self.extractions, "reference": self.extractions[role]}
        return replace(self, extractions=extractions, selected=selected)

    def column(self, role: str, name: str) -> list[str | None]:
        """Return a column of every item of a role; None for empty cells."""
        return [item.columns.get(name) or None for item in self.extractions[role].items]

    def identities(self, role: str) -> list[str | None]:
        """Return the identity of every item of a role in normal form; None for unknown identities.

        Two sets may spell a name in different letter case, Unicode form or spaces. Statistics have no items.
        """
        if role in self.statistics:
            return []
        return [name and normal_form(name) for name in self.column(role, "identity")]

    def numbers(self, column: str) -> npt.NDArray[np.float64]:
        """Return a numeric manifest column of the generated items; NaN for empty or non-numeric cells."""
        return np.array([_number(item.columns.get(column)) for item in self.extractions["generated"].items])


def link_rows(images: ImageSet, role: str, generated: Extraction, linked: Extraction) -> Links:
    """Return, for each generated item, the row of its source (or target) in the extraction of that role, or -1."""
    linked_set, places = images.linked(role)
    row_of = {item.name: row for row, item in enumerate(linked.items)}
    partner = {
        item.name: row_of.get(linked_set.items[place].name, -1)
        for item, place in zip(images.items, places, strict=True)
        if place is not None
    }
    return np.array([partner.get(item.name, -1) for item in generated.items], dtype=np.int64)


def _detector_rows(extraction: Extraction, array: str) -> tuple[Rows, Mask]:
    detected = np.array([face is not None for face in extraction.faces])
    if array == "found":
        return detected.astype(np.float32), np.ones(len(detected), dtype=np.bool_)
    scores = [np.nan if face is None else face.score for face in extraction.faces]
    return np.array(scores, dtype=np.float32), detected


def _number(text: str | None) -> float:
    try:
        return float(text) if text else float("nan")
    except ValueError:
        return float("nan")
