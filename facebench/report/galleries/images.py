"""Small pictures of single images, embedded in the page: the best, the worst and those that were not used."""

from __future__ import annotations

import base64
import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from PIL import Image as Pillow

from facebench.evaluation.record import InputRecord, Run
from facebench.images.decoding import ImageError, decode

SIDE = 144
"""Longest side of a thumbnail in pixels."""
SHOWN = 12
"""Images in the best and in the worst gallery."""
MOST_REJECTED = 50
"""Rejected files that are listed; the record has all."""


@dataclass(frozen=True)
class Thumbnail:
    """One image of a gallery.

    Attributes:
        name: of the file, as the record has it.
        uri: data URI of a small JPEG; empty when the image cannot be shown.
        why: "not_at_hand" or "changed_since" when it cannot be shown.
        caption: the value it was ranked by.
    """

    name: str
    uri: str = ""
    why: str = ""
    caption: str = ""


@dataclass(frozen=True)
class Ranked:
    """The two ends of a run's images by one column."""

    column: str
    best: list[Thumbnail]
    worst: list[Thumbnail]


@dataclass(frozen=True)
class RejectedRow:
    """A file that was not used, with its picture where there is one."""

    role: str
    reason: str
    detail: str
    scope: str
    picture: Thumbnail


def ranked(run: Run) -> Ranked | None:
    """Best and worst generated images by face quality, or by the detector's confidence without it."""
    table = run.per_image
    if table is None:
        return None
    column = next((str(c) for c in table.columns if str(c).startswith("quality:")), "face_score")
    if not {column, "sha256"} <= set(table.columns):
        return None
    rows = table[table["role"] == "generated"].dropna(subset=[column])
    rows = rows.sort_values([column, "image"], ascending=[False, True])
    if rows.empty:
        return None
    shown = min(SHOWN, (len(rows) + 1) // 2)
    home = run.inputs["generated"]
    best = [_of_row(home, row, column) for _, row in rows.head(shown).iterrows()]
    worst = [
        _of_row(home, row, column)
        for _, row in rows.tail(min(shown, len(rows) - shown)).iloc[::-1].iterrows()
    ]
    return Ranked(column, best, worst)


def rejected(run: Run) -> list[RejectedRow]:
    """The first files that were not used, by role."""
    found = [(role, home, file) for role, home in run.inputs.items() for file in home.rejected]
    return [
        RejectedRow(role, file.reason, file.detail, file.scope, thumbnail(home, file.name))
        for role, home, file in found[:MOST_REJECTED]
    ]


def _of_row(home: InputRecord, row: pd.Series, column: str) -> Thumbnail:
    picture = thumbnail(home, str(row["image"]), str(row["sha256"]))
    return Thumbnail(picture.name, picture.uri, picture.why, f"{row[column]:.3f}")


def thumbnail(home: InputRecord, name: str, sha256: str | None = None) -> Thumbnail:
    """The image as a small JPEG, when it still lies in its folder and is still the one that was measured."""
    root = Path(home.path)
    root = (root.parent if root.is_file() else root).resolve()
    file = (root / name).resolve()
    if not file.is_relative_to(root) or not file.is_file():
        return Thumbnail(name, why="not_at_hand")
    try:
        data = file.read_bytes()
        if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
            return Thumbnail(name, why="changed_since")
        picture = Pillow.fromarray(decode(data, name))
    except (OSError, ImageError):
        return Thumbnail(name, why="not_at_hand")
    picture.thumbnail((SIDE, SIDE), Pillow.Resampling.LANCZOS)
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=82)
    return Thumbnail(name, "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode("ascii"))
