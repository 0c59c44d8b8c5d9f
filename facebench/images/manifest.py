"""Manifests: a CSV or Parquet table with one row for each image, and whatever is known about it."""

from __future__ import annotations

import csv
import difflib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from facebench.core.errors import InputError

SUFFIXES = (".csv", ".parquet")
_OTHER_NAMES = ("images", "img", "file", "path", "filename", "file_name", "filepath", "file_path")


class Row(NamedTuple):
    """One row: where it stands, and its non-empty columns as text."""

    line: int
    """Line of a CSV file, counted from 1 with the header; row number of a Parquet file, from 1."""
    columns: dict[str, str]


def read_manifest(path: Path) -> list[Row]:
    """Read all rows of a manifest.

    A CSV file is UTF-8 (a byte order mark is fine), comma-separated, with a header. Cells are text with the
    space around them removed; an empty cell is a column that the row does not have. Column names are free;
    only `image` must be there.

    Raises:
        InputError: the file cannot be read, is not UTF-8, is ragged, or has no column `image`.
    """
    rows = _parquet_rows(path) if path.suffix.lower() == ".parquet" else _csv_rows(path)
    if not rows:
        raise InputError(f"{path} has a header but no rows. Write one row for each image.")
    return rows


def _csv_rows(path: Path) -> list[Row]:
    reader = csv.reader(io.StringIO(_utf8(path), newline=""), strict=True)
    rows = []
    try:
        header = [name.strip() for name in next(reader, [])]
        _check_header(header, path)
        for cells in reader:
            if cells:
                rows.append(Row(reader.line_num, _named(cells, header, path, reader.line_num)))
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: {error}. Save it as plain CSV.") from error
    return rows


def _named(cells: list[str], header: list[str], path: Path, line: int) -> dict[str, str]:
    if len(cells) != len(header):
        raise InputError(
            f"{path}, line {line}: {len(cells)} cells under a header of {len(header)}. "
            "Put cells that contain a comma in double quotes."
        )
    return {name: cell.strip() for name, cell in zip(header, cells, strict=True) if cell.strip()}


def _utf8(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{path}, line {line}: byte {error.start} (0x{data[error.start]:02x}) is not UTF-8. "
            "Save the manifest as UTF-8."
        ) from error


def _parquet_rows(path: Path) -> list[Row]:
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(path)
    except (OSError, pyarrow.ArrowException) as error:
        raise InputError(f"{path} cannot be read as Parquet: {' '.join(str(error).split())}") from error
    _check_header(table.column_names, path)
    names = table.column_names
    columns = [[_text(value) for value in column.to_pylist()] for column in table.columns]
    return [
        Row(number, {name: cell for name, cell in zip(names, cells, strict=True) if cell})
        for number, cells in enumerate(zip(*columns, strict=True), start=1)
    ]


def _text(value: object) -> str:
    """A cell as text; null and NaN are empty."""
    if value is None or value != value:
        return ""
    return str(value).strip()


def _check_header(header: Sequence[str], path: Path) -> None:
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise InputError(f"{path} has two columns named '{twice[0]}'. Rename one.")
    if "image" in header:
        return
    guess = [name for name in header if name.lower() in _OTHER_NAMES] or [
        name for name in header if difflib.get_close_matches("image", [name.lower()])
    ]
    found = ", ".join(f"'{name}'" for name in header) or "none"
    hint = f"Rename '{guess[0]}' to 'image'." if guess else "Add it, with paths relative to the manifest."
    if len(header) == 1 and ";" in header[0]:
        hint = "The cells are separated by semicolons: save it with commas."
    raise InputError(f"{path} has no column 'image' (its columns: {found}). {hint}")
