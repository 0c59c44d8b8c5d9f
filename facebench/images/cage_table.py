"""AffectNet as CAGE's scripts read it: one CSV with the columns number, exp, val, aro, and images named by number."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from facebench.core.errors import InputError

COLUMNS = ("number", "exp", "val", "aro")
_NAME = "{split}_set_annotation_without_lnd.csv"
_FOLDER = "affectnet_annotations"


def cage_table(root: Path, split: str) -> Path | None:
    """Return the table of a split: the path itself, or the file with CAGE's name in or below a folder; None without."""
    if root.is_file():
        return root if split == table_split(root) else None
    name = _NAME.format(split=split)
    return next((path for path in (root / name, root / _FOLDER / name) if path.is_file()), None)


def table_split(path: Path) -> str | None:
    """Return the split that a table names, "val" or "train"; None if it has other columns than CAGE's."""
    if path.suffix.lower() != ".csv" or not path.is_file():
        return None
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        heading = next(csv.reader(file), [])
    if not {name.strip() for name in heading} >= set(COLUMNS):
        return None
    return "val" if "val" in path.stem.lower() else "train"


def image_folder(table: Path, split: str) -> Path:
    """Return the folder of the images: `train_set/images` or `images`, beside the table or one level above.

    Raises:
        InputError: the folder does not exist.
    """
    bases = (table.parent, table.parent.parent)
    places = [base / name for base in bases for name in (f"{split}_set/images", "images")]
    found = next((place for place in places if place.is_dir()), None)
    if found is None:
        listed = ", ".join(map(str, places))
        raise InputError(f"{table}: its images are in none of {listed}. Put or link them there.")
    return found


def cage_rows(table: Path, folder: Path) -> Iterable[tuple[Path, str, str, str]]:
    """Yield the path of each image, and its expression, valence and arousal as texts.

    Raises:
        InputError: a number of an image is not a number; names the line.
    """
    with table.open(newline="", encoding="utf-8") as file:
        for line, row in enumerate(csv.DictReader(file, skipinitialspace=True), start=2):
            try:
                number = int(float(row["number"]))
            except (TypeError, ValueError, OverflowError):
                raise InputError(
                    f"{table}, line {line}: the number of the image is {row['number']!r}. Correct the line."
                ) from None
            yield folder / f"{number}.jpg", row["exp"] or "", row["val"] or "", row["aro"] or ""
