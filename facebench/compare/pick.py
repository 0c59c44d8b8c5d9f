"""Pick the best of several images of each group by a number of single images, and mark them as picked."""

from __future__ import annotations

import csv
import io
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from facebench.core.errors import InputError
from facebench.core.files import atomic_write_text
from facebench.core.suggest import suggest
from facebench.evaluation.cards import load_cards
from facebench.evaluation.inputs import LINKED
from facebench.evaluation.per_image import image_terms
from facebench.evaluation.picked import PICKED
from facebench.evaluation.record import Run

_FACTS = frozenset(
    {"role", "image", "sha256", "width", "height", "face_score", "face_x", "face_y", "face_width",
     "face_height", "map_x", "map_y"}
)  # fmt: skip
"""Columns of the per-image table that are not columns of the manifest."""


@dataclass(frozen=True)
class Choice:
    """How images are picked.

    Attributes:
        by: id of a metric that is a mean over images, or column of the per-image table.
        best: images that are kept of each group.
        group: column of the manifest whose values form the groups; None for one group of all images.
        lowest: keep the lowest numbers; None follows the better direction of the metric.
    """

    by: str
    best: int = 1
    group: str | None = None
    lowest: bool | None = None


@dataclass(frozen=True)
class Picked:
    """Result of a pick: the manifest, and how many images and groups it holds."""

    manifest: Path
    images: int
    groups: int
    without_number: int
    """Images that have no number, such as images without a face; they are never picked."""


def pick(run: Run, folder: Path, choice: Choice) -> Picked:
    """Copy the best images of each group into a folder with a manifest whose column `picked` marks them.

    The files are read from the folder of the run's images. Columns of the manifest are kept, and the files of `source`,
    `target` and other linked columns are copied as well. Of equal numbers, the first image by name is kept.

    Raises:
        InputError: the run has no per-image table, an unknown metric or column, no better direction, a group without
            enough images, a file that has changed since the evaluation, or a folder that is not empty.
    """
    if run.per_image is None:
        raise InputError("This record has no per-image table beside it, so single images cannot be ranked.")
    if choice.best < 1:
        raise InputError(f"At least one image of each group must be kept, not {choice.best}.")
    if folder.exists() and any(folder.iterdir()):
        raise InputError(f"{folder} is not empty. Name a new folder.")
    images = run.inputs["generated"]
    if images.kind not in ("folder", "identities", "manifest"):
        raise InputError(
            f"The images of {images.path} lie in an archive or in memory. Evaluate a folder of them, then pick."
        )
    table = run.per_image[run.per_image["role"] == "generated"].set_index("image")
    numbers = _numbers(run, table, choice.by).reindex(table.index)
    lowest = _lowest(choice)
    groups = _groups(table, choice.group)
    chosen = _best(numbers, groups, choice, lowest)
    largest = int(groups.value_counts().max())
    way = f"{'lowest' if lowest else 'highest'} {choice.best} of {largest} by {choice.by}"
    _copy(Path(images.path), table.loc[chosen], folder, way)
    return Picked(folder / "manifest.csv", len(chosen), groups.nunique(), int(numbers.isna().sum()))


def _numbers(run: Run, table: pd.DataFrame, by: str) -> pd.Series[float]:
    if by in run.metrics:
        terms = image_terms(by, run)
        if terms is None:
            raise InputError(
                f"'{by}' is not a mean over images, so it cannot rank them. Choose another metric."
            )
        return terms
    if by in table and pd.api.types.is_numeric_dtype(table[by]):
        return table[by]
    known = [*run.metrics, *(str(column) for column in table.columns if ":" in str(column))]
    raise InputError(f"The run has no metric or per-image column '{by}'. {suggest(by, known)}")


def _lowest(choice: Choice) -> bool:
    """Whether low numbers are kept: as asked for, or as the card states."""
    if choice.lowest is not None:
        return choice.lowest
    card = load_cards().get(choice.by.partition("@")[0])
    if card is None or card.better == "neither":
        raise InputError(f"'{choice.by}' has no better direction. Add --highest or --lowest.")
    return card.better == "lower"


def _groups(table: pd.DataFrame, group: str | None) -> pd.Series[str]:
    if group is None:
        return pd.Series("", index=table.index)
    if group not in table:
        raise InputError(f"The images have no column '{group}'. {suggest(group, map(str, table.columns))}")
    if table[group].isna().any():
        raise InputError(f"{int(table[group].isna().sum())} images have no value in the column '{group}'.")
    return table[group].astype(str)


def _best(numbers: pd.Series[float], groups: pd.Series[str], choice: Choice, lowest: bool) -> list[str]:
    """Return the names of the picked images, in the order of the table."""
    ordered = numbers.dropna().sort_index().sort_values(ascending=lowest, kind="stable")
    chosen: list[str] = []
    for name, members in groups.groupby(groups).groups.items():
        kept = [image for image in ordered.index if image in members][: choice.best]
        if len(kept) < choice.best:
            raise InputError(
                f"The group '{name}' has {len(kept)} images with a number, {choice.best} are to be kept."
            )
        chosen += kept
    selected = set(chosen)
    return [str(image) for image in numbers.index if image in selected]


def _copy(root: Path, rows: pd.DataFrame, folder: Path, way: str) -> None:
    """Copy the images and linked files, and write the manifest."""
    from facebench.backbones.weights.digest import sha256_of

    base = root if root.is_dir() else root.parent
    columns = [str(column) for column in rows.columns if str(column) not in _FACTS and ":" not in str(column)]
    columns = [name for name in columns if name not in (*load_cards(), PICKED) and rows[name].notna().any()]
    lines = []
    for image, row in rows.iterrows():
        source = base / str(image)
        if not source.is_file() or sha256_of(source) != row["sha256"]:
            raise InputError(
                f"{source} is missing or has changed since the evaluation. Evaluate again first."
            )
        _copy_file(source, folder / str(image))
        cells = {name: "" if pd.isna(row[name]) else str(row[name]) for name in columns}
        lines.append({"image": str(image), **_with_links(base, folder, cells), PICKED: way})
    atomic_write_text(folder / "manifest.csv", _csv_text(["image", *columns, PICKED], lines))


def _with_links(base: Path, folder: Path, cells: Mapping[str, str]) -> dict[str, str]:
    """Copy the files that linked columns name into a folder of the column, and return their new names."""
    linked = dict(cells)
    for column in [name for name in LINKED if cells.get(name)]:
        source = Path(os.path.normpath(base / cells[column]))
        if not source.is_file():
            raise InputError(f"{source} ({column}) is missing. Restore it or remove the column.")
        inside = Path(os.path.relpath(source, base))
        name = "/".join(part for part in inside.parts if part != "..")
        linked[column] = f"{column}/{name}"
        _copy_file(source, folder / linked[column])
    return linked


def _copy_file(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        shutil.copyfile(source, target)


def _csv_text(header: Sequence[str], lines: Sequence[Mapping[str, str]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, header, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()
