"""Thumbnails of single images: the best, the worst, and the rejected files."""

from __future__ import annotations

import base64
import hashlib
import io
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import pandas as pd
from PIL import Image as Pillow

from facebench.core.errors import FacebenchError
from facebench.evaluation.record import InputRecord, Run
from facebench.images import named_roots
from facebench.images.decoding import decode
from facebench.images.image_set import ImageSet, Item, read
from facebench.images.named_roots import Roots

SIDE = 144
"""Longest side of a thumbnail in pixels."""
MAX_IMAGES = 12
"""Number of images in each of the two galleries, best and worst."""
ARCHIVES = ("zip", "tar", "npz", "parquet", "lmdb", "dataset", "video")
"""Kinds of image sets whose images are not files of their own."""
MAX_REJECTED = 50
"""Maximum number of listed rejected files; the record contains all."""


@dataclass(frozen=True)
class Thumbnail:
    """One image of a gallery.

    Attributes:
        name: name of the file in the record.
        uri: data URI of a small JPEG; empty when the image is unavailable.
        unavailable: reason why the image is unavailable, "not_at_hand" or "changed_since"; empty otherwise.
        caption: the value by which the image is ranked.
    """

    name: str
    uri: str = ""
    unavailable: str = ""
    caption: str = ""


@dataclass(frozen=True)
class RankedImages:
    """Best and worst images of a run by one column of the per-image table."""

    column: str
    best: list[Thumbnail]
    worst: list[Thumbnail]


@dataclass(frozen=True)
class RejectedImage:
    """A rejected file, with its thumbnail if the file is an image."""

    role: str
    reason: str
    detail: str
    scope: str
    thumbnail: Thumbnail


def ranked_images(run: Run) -> RankedImages | None:
    """Return the best and worst generated images by face quality, or by detector confidence without it."""
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
    best_count = min(MAX_IMAGES, (len(rows) + 1) // 2)
    worst_count = min(best_count, len(rows) - best_count)
    return RankedImages(
        column,
        best=_thumbnails(run, rows.head(best_count), column),
        worst=_thumbnails(run, rows.tail(worst_count).iloc[::-1], column),
    )


def rejected_images(run: Run) -> list[RejectedImage]:
    """Return the first rejected files, by role."""
    files = [(role, images, file) for role, images in run.inputs.items() for file in images.rejected]
    return [
        RejectedImage(
            role, file.reason, file.detail, file.scope, thumbnail(images, file.name, None, roots_of(run))
        )
        for role, images, file in files[:MAX_REJECTED]
    ]


def roots_of(run: Run) -> Roots:
    """Return the named roots of the evaluation of a run."""
    return run.config.roots if run.config is not None else {}


def thumbnail(
    images: InputRecord,
    name: str,
    sha256: str | None = None,
    roots: Roots | None = None,
    side: int = SIDE,
) -> Thumbnail:
    """Return a small JPEG of an image if it still exists and is unchanged.

    Args:
        images: the image set.
        name: name of the file in the set; files outside the folder of the set are not read.
        sha256: digest of the evaluated file; None when it is unknown.
        roots: named folders elsewhere, see `named_roots`.
        side: longest side in pixels.
    """
    try:
        data = _bytes_of(images, name, roots or {})
        if data is None:
            return Thumbnail(name, unavailable="not_at_hand")
        if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
            return Thumbnail(name, unavailable="changed_since")
        picture = Pillow.fromarray(decode(data, name))
    except (OSError, ValueError, FacebenchError):  # ValueError: a name with a null character
        return Thumbnail(name, unavailable="not_at_hand")
    picture.thumbnail((side, side), Pillow.Resampling.LANCZOS)
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=82)
    return Thumbnail(name, "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode("ascii"))


def _bytes_of(images: InputRecord, name: str, roots: Roots) -> bytes | None:
    """Return the content of an image in the folder or archive of a set; None if it is not there."""
    root = Path(images.path)
    if images.kind in ARCHIVES:
        item = _items_of(root, root.stat().st_mtime_ns).get(name)
        return None if item is None else read(item)
    root = (root.parent if root.is_file() else root).resolve()
    in_root = named_roots.resolve(name, roots)
    file = (root / name).resolve() if in_root is None else in_root
    inside = in_root is not None or file.is_relative_to(root)
    return file.read_bytes() if inside and file.is_file() else None


@lru_cache(maxsize=2)
def _items_of(archive: Path, changed: int) -> dict[str, Item]:
    return {item.name: item for item in ImageSet.open(archive).items}


def _thumbnails(run: Run, rows: pd.DataFrame, column: str) -> list[Thumbnail]:
    images, roots = run.inputs["generated"], roots_of(run)
    return [
        replace(thumbnail(images, str(row["image"]), str(row["sha256"]), roots), caption=f"{row[column]:.3f}")
        for _, row in rows.iterrows()
    ]
