"""Manifests: CSV or Parquet tables with one row per image and its attributes."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from facebench.core.errors import InputError
from facebench.core.suggest import close_names

SUFFIXES = (".csv", ".tsv", ".parquet")

_DELIMITERS = (",", ";", "\t")
_OTHER_NAMES = ("images", "img", "file", "path", "filename", "file_name", "filepath", "file_path")
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")
_DECIMAL_COMMA_OR_INTEGER = re.compile(r"[+-]?\d+(,\d+)?")


class Row(NamedTuple):
    """A row and its position."""

    line: int
    """Line of a CSV file, counted from 1 including the header; row of a Parquet file, counted from 1."""
    columns: dict[str, str]
    """Non-empty cells by column."""


class _Table(NamedTuple):
    """Cells of a table as text."""

    header: list[str]
    rows: list[tuple[int, list[str]]]
    """Line and cells."""


def read_manifest(path: Path, data: bytes | None = None) -> list[Row]:
    """Read all rows of a manifest; `data` is its content if it lies in an archive.

    CSV files have a header, and commas, semicolons or tabs between cells. They are UTF-8, or UTF-16 with a byte order
    mark. A first line `sep=;` as written by Excel is accepted. Empty rows and empty columns without a name are
    accepted. Decimal commas are accepted in files without commas between cells. Leading and trailing spaces of cells
    are removed. Only the column `image` is required.

    Raises:
        InputError: the file cannot be read or decoded, has rows of different lengths, or has no column `image`.
    """
    table = _read_parquet(path, data) if path.suffix.lower() == ".parquet" else _read_csv(path, data)
    _check_header(table.header, path)
    rows = [Row(line, _named_cells(table.header, cells, path, line)) for line, cells in table.rows]
    rows = [row for row in rows if row.columns]
    if not rows:
        raise InputError(f"{path} has a header but no rows. Write one row for each image.")
    return rows


def _read_csv(path: Path, data: bytes | None) -> _Table:
    text, offset = _without_separator_line(_text_of(path, data))
    delimiter = _delimiter(text)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=delimiter)
    rows = []
    try:
        header = [name.strip() for name in next(reader, [])]
        for cells in reader:
            if any(cell.strip() for cell in cells):
                rows.append((reader.line_num + offset, [cell.strip() for cell in cells]))
    except csv.Error as error:
        line = reader.line_num + offset
        raise InputError(f"{path}, line {line}: {error}. Save it as plain CSV.") from error
    table = _Table(header, _trimmed(header, rows, path))
    return table if delimiter == "," else _with_decimal_points(table)


def _text_of(path: Path, data: bytes | None) -> str:
    try:
        data = path.read_bytes() if data is None else data
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    encoding = "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{path}, line {line}: byte {error.start} (0x{data[error.start]:02x}) is not "
            f"{encoding.removesuffix('-sig').upper()}. Save the manifest as UTF-8."
        ) from error


def _without_separator_line(text: str) -> tuple[str, int]:
    """Remove the line `sep=…` that Excel writes first; return the text and the number of removed lines."""
    first, newline, rest = text.partition("\n")
    if re.fullmatch(r'"?sep=.?"?\s*', first, re.IGNORECASE):
        return rest, 1 if newline else 0
    return text, 0


def _delimiter(text: str) -> str:
    """Return the delimiter under which the header has a column `image`, or the most columns."""
    line = io.StringIO(text, newline="").readline().strip("\r\n")
    headers = {delimiter: _header_cells(line, delimiter) for delimiter in _DELIMITERS}
    return max(_DELIMITERS, key=lambda delimiter: ("image" in headers[delimiter], len(headers[delimiter])))


def _header_cells(line: str, delimiter: str) -> list[str]:
    try:
        return [name.strip() for name in next(csv.reader([line], delimiter=delimiter), [])]
    except csv.Error:  # the reader of the whole file reports it
        return []


def _trimmed(
    header: Sequence[str], rows: Sequence[tuple[int, list[str]]], path: Path
) -> list[tuple[int, list[str]]]:
    """Remove empty cells beyond the header, and check that every row has as many cells as the header."""
    width = len(header)
    trimmed = []
    for line, cells in rows:
        if len(cells) > width and not any(cells[width:]):
            cells = cells[:width]
        if len(cells) != width:
            raise InputError(
                f"{path}, line {line}: {len(cells)} cells under a header of {width}. "
                "Put cells that contain a separator in double quotes."
            )
        trimmed.append((line, cells))
    return trimmed


def _with_decimal_points(table: _Table) -> _Table:
    """Replace decimal commas in columns that hold only such numbers and integers."""
    for column in range(len(table.header)):
        cells = [cells[column] for _, cells in table.rows if cells[column]]
        is_number = all(_DECIMAL_COMMA_OR_INTEGER.fullmatch(cell) for cell in cells)
        if is_number and any(_DECIMAL_COMMA.fullmatch(cell) for cell in cells):
            for _, row in table.rows:
                row[column] = row[column].replace(",", ".")
    return table


def _read_parquet(path: Path, data: bytes | None) -> _Table:
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(path if data is None else io.BytesIO(data))
    except (OSError, pyarrow.ArrowException) as error:
        raise InputError(f"{path} cannot be read as Parquet: {' '.join(str(error).split())}") from error
    columns = [[cell_text(value) for value in column.to_pylist()] for column in table.columns]
    rows = [(number, list(cells)) for number, cells in enumerate(zip(*columns, strict=True), start=1)]
    return _Table(list(table.column_names), rows)


def cell_text(value: object) -> str:
    """Return a cell as text; null and NaN are empty."""
    if value is None or value != value:
        return ""
    return str(value).strip()


def _named_cells(header: Sequence[str], cells: Sequence[str], path: Path, line: int) -> dict[str, str]:
    """Return the non-empty cells by column."""
    for name, cell in zip(header, cells, strict=True):
        if cell and not name:
            raise InputError(
                f"{path}, line {line}: the cell '{cell}' is in a column without a name. Name it."
            )
    return {name: cell for name, cell in zip(header, cells, strict=True) if cell}


def _check_header(header: Sequence[str], path: Path) -> None:
    twice = sorted({name for name in header if name and header.count(name) > 1})
    if twice:
        raise InputError(f"{path} has two columns named '{twice[0]}'. Rename one.")
    if "image" in header:
        return
    names = [name for name in header if name]
    similar = [name for name in names if name.lower() in _OTHER_NAMES]
    similar += [name for name in names if close_names("image", [name.lower()])]
    listed = ", ".join(f"'{name}'" for name in names) or "none"
    hint = f"Rename '{similar[0]}' to 'image'." if similar else "Add it, with paths relative to the manifest."
    raise InputError(f"{path} has no column 'image' (its columns: {listed}). {hint}")
