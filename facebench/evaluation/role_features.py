"""The features of every role of a run, and which source and target each generated face belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from facebench.evaluation.plan import DETECTOR
from facebench.features.extraction import Extraction
from facebench.images.image_set import ImageSet

Rows = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


@dataclass
class Roles:
    """Extractions by role; `links` gives, per generated item, the row of its source or target, or -1."""

    extractions: dict[str, Extraction]
    links: dict[str, npt.NDArray[np.int64]]
    kept: Mapping[str, Mask] = field(default_factory=dict)
    """Which items of a role count; all where the role is not named."""
    subject: str | None = None
    """The one identity whose pairs are compared; all identities when None."""

    def rows(self, role: str, backbone: str, array: str) -> tuple[Rows, Mask]:
        """All rows of one array of a role, and which of them count and hold a result."""
        extraction = self.extractions[role]
        rows, valid = (
            _detector_rows(extraction, array)
            if backbone == DETECTOR
            else (extraction.arrays[backbone][array], extraction.valid[backbone])
        )
        return rows, valid & self.kept[role] if role in self.kept else valid

    def keeping(self, kept: Mapping[str, Mask]) -> Roles:
        """The same features, of which only some items of some roles count."""
        return replace(self, kept=kept)

    def of(self, subject: str) -> Roles:
        """The same features, of which only the pairs with one identity count."""
        return replace(self, subject=subject)

    @property
    def counting(self) -> Mask:
        """Which generated items count."""
        every = np.ones(len(self.extractions["generated"].items), dtype=np.bool_)
        return self.kept.get("generated", every)

    @property
    def references(self) -> list[str]:
        """Names of the reference sets that were given by name."""
        return [role.partition(":")[2] for role in self.extractions if role.startswith("reference:")]

    def against(self, name: str) -> Roles:
        """The same features, with one of the named reference sets as the reference."""
        role = f"reference:{name}"
        kept = {**self.kept, "reference": self.kept[role]} if role in self.kept else self.kept
        return replace(self, extractions={**self.extractions, "reference": self.extractions[role]}, kept=kept)

    def column(self, role: str, name: str) -> list[str | None]:
        """A column of every item of a role, None where it is empty."""
        return [item.columns.get(name) or None for item in self.extractions[role].items]

    def identities(self, role: str) -> list[str | None]:
        """The identity of every item of a role, None where it has none."""
        return self.column(role, "identity")

    def numbers(self, column: str) -> npt.NDArray[np.float64]:
        """A numeric column of the generated items' manifest; NaN where it is empty or not a number."""
        return np.array([_number(item.columns.get(column)) for item in self.extractions["generated"].items])


def links(images: ImageSet, role: str, generated: Extraction, linked: Extraction) -> npt.NDArray[np.int64]:
    """For each generated item the row of its source (or target) in that role's extraction, or -1."""
    others, places = images.linked(role)
    row_of = {item.name: row for row, item in enumerate(linked.items)}
    partner = {
        item.name: row_of.get(others.items[place].name, -1)
        for item, place in zip(images.items, places, strict=True)
        if place is not None
    }
    return np.array([partner.get(item.name, -1) for item in generated.items], dtype=np.int64)


def _detector_rows(extraction: Extraction, array: str) -> tuple[Rows, Mask]:
    found = np.array([face is not None for face in extraction.faces])
    if array == "found":
        return found.astype(np.float32), np.ones(len(found), dtype=np.bool_)
    return np.array(
        [np.nan if face is None else face.score for face in extraction.faces], dtype=np.float32
    ), found


def _number(text: str | None) -> float:
    try:
        return float(text) if text else float("nan")
    except ValueError:
        return float("nan")
