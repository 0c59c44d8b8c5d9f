"""AffectNet in its published layouts: images with expression, valence and arousal.

Nothing is downloaded, because the data set has terms of use that a person must accept.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from facebench.core.errors import InputError
from facebench.images.cage_table import cage_rows, cage_table, image_folder
from facebench.images.image_set import ImageSet
from facebench.images.listing import SUFFIXES, Item, Rejected

AFFECTNET = ("neutral", "happy", "sad", "surprised", "afraid", "disgusted", "angry", "contempt")
"""AffectNet's classes 0 to 7; the classes 8 (none), 9 (uncertain) and 10 (no face) are not used."""
UNLABELLED = -2.0
"""AffectNet's valence and arousal of images without annotation."""
_TABLES = {"train": "training.csv", "val": "validation.csv"}

Row = tuple[Path, Mapping[str, str]]


def affectnet_split(root: Path) -> str | None:
    """Return the split that a folder or CAGE's table holds, "val" before "train"; None if it is not AffectNet."""
    for split in ("val", "train"):
        if (root / f"{split}_set" / "annotations").is_dir() or (root / _TABLES[split]).is_file():
            return split
        if cage_table(root, split) is not None:
            return split
    return None


def affectnet(root: Path, split: str = "train") -> ImageSet:
    """AffectNet in one of three layouts.

    - Annotation folders: train_set/, val_set/.
    - CSV of the authors: training.csv, validation.csv.
    - CSV of CAGE with the columns number, exp, val, aro: `root` is the file, or a folder that holds
      train_set_annotation_without_lnd.csv, itself or in affectnet_annotations/.

    Columns: expression (see `AFFECTNET`), valence, arousal. Images of other classes are not used, and a warning of the
    set states their number. Images of the table that are missing are listed as rejected.

    Source: Mollahosseini et al. 2017 and the two published layouts; Wagner et al. 2024 for CAGE's.

    Raises:
        InputError: another layout, an annotation that is missing, or no usable image.
    """
    root, labelled = _labelled(root, split)
    rows = [(path, columns) for path, *labels in labelled if (columns := _columns(*labels)) is not None]
    missing = [path for path, _ in rows if not path.is_file()]
    names = {path: path.relative_to(root).as_posix() for path, _ in rows}
    items = [Item(path, names[path], dict(columns)) for path, columns in rows if path.is_file()]
    if not items:
        raise InputError(
            f"{root}: no image with a usable label ({len(missing)} labelled images are missing)."
        )
    rejected = tuple(Rejected(names[path], "missing", "in the table, not on disk") for path in missing)
    excluded = len(labelled) - len(rows)
    warnings = (f"{excluded} images of AffectNet's classes 8 to 10 (none, uncertain, no face) are not used",)
    ordered = tuple(sorted(items, key=lambda item: item.name))
    return ImageSet(root, "manifest", ordered, rejected, warnings if excluded else ())


def _labelled(root: Path, split: str) -> tuple[Path, list[tuple[Path, str, str, str]]]:
    """Return the folder that names are relative to, and the path, expression, valence and arousal of each image."""
    folder, table = root / f"{split}_set", root / _TABLES.get(split, f"{split}.csv")
    if (folder / "annotations").is_dir():
        return root, list(_folder_rows(folder))
    if table.is_file():
        return root, list(_table_rows(root, table))
    numbered = cage_table(root, split)
    if numbered is not None:
        images = image_folder(numbered, split)
        return images.parent, list(cage_rows(numbered, images))
    raise InputError(
        f"{root}: is not AffectNet's {split} set. Expected {folder.name}/images and {folder.name}/annotations, "
        f"{table.name} beside Manually_Annotated_Images/, or CAGE's table with the columns number, exp, val, aro."
    )


def _folder_rows(folder: Path) -> Iterable[tuple[Path, str, str, str]]:
    missing: Counter[str] = Counter()
    paths = [path for path in (folder / "images").rglob("*") if path.suffix.lower() in SUFFIXES]
    for path in sorted([*paths, *_without_image(folder, {path.stem for path in paths})]):
        values = []
        for name in ("exp", "val", "aro"):
            file = folder / "annotations" / f"{path.stem}_{name}.npy"
            if not file.is_file():
                missing[name] += 1
                continue
            try:
                values.append(str(np.load(file, allow_pickle=False)))
            except (OSError, ValueError) as error:
                raise InputError(
                    f"{file} is not a NumPy file of one number: {error}. Unpack it again."
                ) from error
        if len(values) == 3:
            yield path, values[0], values[1], values[2]
    if missing:
        name, count = missing.most_common(1)[0]
        raise InputError(
            f"{folder}: {count} images have no annotations/*_{name}.npy. Is the data set unpacked completely?"
        )


def _without_image(folder: Path, stems: set[str]) -> list[Path]:
    """Return the paths of annotated images that are not there."""
    annotated = {file.name.removesuffix("_exp.npy") for file in (folder / "annotations").glob("*_exp.npy")}
    return [folder / "images" / f"{stem}.jpg" for stem in annotated - stems]


def _table_rows(root: Path, table: Path) -> Iterable[tuple[Path, str, str, str]]:
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    wanted = ("subDirectory_filePath", "expression", "valence", "arousal")
    if not rows or not set(wanted) <= rows[0].keys():
        raise InputError(f"{table}: needs the columns {', '.join(sorted(wanted))}.")
    for row in rows:
        path = root / "Manually_Annotated_Images" / row["subDirectory_filePath"]
        yield path, row["expression"], row["valence"], row["arousal"]


def _columns(expression: str, valence: str, arousal: str) -> Mapping[str, str] | None:
    """Return the labels of an image; None for the classes 8 to 10.

    Raises:
        InputError: a label is not a number, or has another scale.
    """
    try:
        number, affect = int(float(expression)), (float(valence), float(arousal))
    except (TypeError, ValueError, OverflowError):
        raise InputError(
            f"AffectNet's labels {expression!r}, {valence!r}, {arousal!r} are not numbers. Correct the annotation."
        ) from None
    if not 0 <= number < len(AFFECTNET):
        return None
    if any(abs(value) > 1 for value in affect if value != UNLABELLED):
        raise InputError(
            f"AffectNet's valence {valence} and arousal {arousal} lie outside -1 to 1. Rescale them."
        )
    columns = {"expression": AFFECTNET[number]}
    return columns | {"valence": valence, "arousal": arousal} if min(affect) > UNLABELLED else columns
