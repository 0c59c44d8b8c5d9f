"""The features of every role of a run, and which source and target each generated face belongs to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from facebench.features import Extraction
from facebench.images import ImageSet
from facebench.protocols import DETECTOR

Rows = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


@dataclass
class Roles:
    """Extractions by role; `links` gives, per generated item, the row of its source or target, or -1."""

    extractions: dict[str, Extraction]
    links: dict[str, npt.NDArray[np.int64]]

    def rows(self, role: str, backbone: str, array: str) -> tuple[Rows, Mask]:
        """All rows of one array of a role, and which of them hold a result."""
        extraction = self.extractions[role]
        if backbone == DETECTOR:
            return _detector_rows(extraction, array)
        return extraction.arrays[backbone][array], extraction.valid[backbone]

    def identities(self, role: str) -> list[str | None]:
        """The identity of every item of a role, None where it has none."""
        return [item.columns.get("identity") or None for item in self.extractions[role].items]

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
