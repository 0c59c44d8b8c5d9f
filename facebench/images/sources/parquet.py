"""Images in Parquet files, as Hugging Face datasets store them.

The column of images holds `{bytes, path}` or bytes. Further scalar columns become columns of the images; classes of the
dataset (`ClassLabel`) are written as their names. Row groups are read when an image of them is needed and kept within
`CACHE` bytes.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from facebench.core.errors import InputError
from facebench.images.errors import ImageError
from facebench.images.memory import machine_memory
from facebench.images.sources.content import MAX_MEMBERS
from facebench.images.sources.image_table import (
    cells_as_text,
    class_names,
    image_column_of,
    row_names,
    rows_of_columns,
    scalar_columns,
)

CACHE = machine_memory() // 8
"""Bytes of row groups in memory."""


@dataclass(frozen=True)
class ParquetImage:
    """One image of a Parquet file."""

    file: Path
    column: str
    group: int
    row: int
    """Row within the row group."""

    def read(self, name: str, max_bytes: int) -> bytes:
        """Return the bytes of the cell."""
        try:
            cell = _GROUPS.column(self.file, self.column, self.group)[self.row]
        except FileNotFoundError as error:
            raise ImageError("missing", f"{self.file.name} was removed", name) from error
        except (OSError, pa.ArrowException, InputError) as error:
            detail = " ".join(str(error).split())[:200]
            raise ImageError("truncated", f"{self.file.name}: {detail}", name) from error
        data = cell.as_buffer() if cell.is_valid else None
        if data is None or data.size == 0:
            raise ImageError("empty", "the cell holds no bytes", name)
        if data.size > max_bytes:
            raise ImageError("too_large", f"more than {max_bytes} bytes", name)
        return bytes(data)


class _RowGroups:
    """Columns of row groups, the last used within `CACHE` bytes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[Path, int, str, int], Any] = OrderedDict()

    def column(self, file: Path, column: str, group: int) -> Any:
        key = (file, file.stat().st_mtime_ns, column, group)
        with self._lock:
            if key not in self._kept:
                self._kept[key] = _read_group(file, column, group)
                while len(self._kept) > 1 and sum(each.nbytes for each in self._kept.values()) > CACHE:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(key)
            return self._kept[key]


_GROUPS = _RowGroups()


def _read_group(file: Path, column: str, group: int) -> Any:
    with pq.ParquetFile(file) as opened:
        sizes = opened.metadata.row_group(group)
        total = sum(sizes.column(i).total_uncompressed_size for i in range(sizes.num_columns))
        if total > CACHE:
            raise InputError(
                f"a row group of {total:,} bytes; this machine allows {CACHE:,}. Write smaller row groups"
            )
        cells = opened.read_row_group(group, columns=[column]).column(0)
    return pc.struct_field(cells, "bytes") if pa.types.is_struct(cells.type) else cells


@dataclass(frozen=True)
class ParquetRow:
    """An image, its name and its columns."""

    name: str
    content: ParquetImage
    columns: dict[str, str]


def image_column(path: Path) -> str | None:
    """Return the column of a Parquet file that holds images; None if there is none, or the file is damaged."""
    try:
        schema = pq.read_schema(path)
    except (OSError, pa.ArrowException):
        return None
    return image_column_of(schema)


def read_rows(path: Path) -> list[ParquetRow]:
    """List the images of a Parquet file without reading them.

    Names are the paths in the file where all are given and differ, else the numbers of the rows.

    Raises:
        InputError: the file is damaged, or has no column of images.
    """
    column = image_column(path)
    if column is None:
        raise InputError(f"{path} has no column of images: bytes, or a struct with the field 'bytes'.")
    try:
        with pq.ParquetFile(path) as file:
            if file.metadata.num_rows > MAX_MEMBERS:
                raise InputError(
                    f"{path} has {file.metadata.num_rows:,} rows; at most {MAX_MEMBERS:,} are read."
                )
            places = [
                (group, row)
                for group in range(file.num_row_groups)
                for row in range(file.metadata.row_group(group).num_rows)
            ]
            schema = file.schema_arrow
            columns = {
                name: cells_as_text(
                    file.read(columns=[name]).column(0).to_pylist(), class_names(schema, name)
                )
                for name in scalar_columns(schema, column)
            }
            paths = _paths(file, column)
    except (OSError, pa.ArrowException) as error:
        detail = " ".join(str(error).split())[:200]
        raise InputError(f"{path} is not a readable Parquet file: {detail}. Copy it again.") from error
    cells = rows_of_columns(columns, len(places))
    return [
        ParquetRow(name, ParquetImage(path, column, *place), cell)
        for name, place, cell in zip(row_names(paths), places, cells, strict=True)
    ]


def _paths(file: pq.ParquetFile, column: str) -> list[str | None]:
    kind = file.schema_arrow.field(column).type
    if not pa.types.is_struct(kind) or kind.get_field_index("path") < 0:
        return [None] * file.metadata.num_rows
    cells = file.read(columns=[f"{column}.path"]).column(0).to_pylist()
    return [None if cell is None else cell["path"] for cell in cells]
