"""Manifest of generated people: the prompt of every image, for metrics of prompt adherence."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from facebench.core.errors import InputError
from facebench.core.files import atomic_write_text
from facebench.training.data.prompts import surroundings_of

NAME = "manifest.csv"
COLUMNS = ("image", "identity", "prompt", "surroundings")


def add(folder: Path, identity: str, prompts: Mapping[str, str]) -> Path:
    """Write the images of a person into the manifest of a folder, in place of earlier rows of this person.

    Args:
        folder: folder with one sub-folder for each person.
        identity: name of the person and of the sub-folder.
        prompts: prompt by file name.

    Returns:
        The manifest.

    Raises:
        InputError: a manifest with other columns lies there.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> print(add(folder, "ann", {"0000.png": "photo, office background"}).read_text(), end="")
        image,identity,prompt,surroundings
        ann/0000.png,ann,"photo, office background",office
    """
    path = folder / NAME
    rows = [row for row in read(path) if row["identity"] != identity]
    rows += [
        {
            "image": f"{identity}/{name}",
            "identity": identity,
            "prompt": prompt,
            "surroundings": surroundings_of(prompt),
        }
        for name, prompt in prompts.items()
    ]
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    atomic_write_text(path, text.getvalue())
    return path


def read(path: Path) -> list[dict[str, str]]:
    """Return the rows of a manifest of generated people; none if there is no file.

    Raises:
        InputError: the file cannot be read or has other columns.
    """
    if not path.exists():
        return []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read: {error}") from None
    if tuple(reader.fieldnames or ()) != COLUMNS or any(None in row.values() for row in rows):
        raise InputError(
            f"{path} is not a manifest of `facebench generate`, and is not replaced. Choose another output folder."
        )
    return rows
