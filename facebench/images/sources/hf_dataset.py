"""Images in folders that `datasets.Dataset.save_to_disk` writes, read in place by the library."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from facebench.core.errors import InputError
from facebench.core.json_files import read_json
from facebench.images.errors import ImageError
from facebench.images.sources.content import MAX_MEMBERS
from facebench.images.sources.image_table import (
    cells_as_text,
    class_names,
    image_column_of,
    row_names,
    rows_of_columns,
    scalar_columns,
)

DATASET = ("state.json", "dataset_info.json")
"""Files of a saved dataset."""
SPLITS = "dataset_dict.json"
"""File of a folder of several datasets, one in each sub-folder."""


@dataclass(frozen=True)
class DatasetImage:
    """One cell of the column of images."""

    folder: Path
    column: str
    row: int

    def read(self, name: str, max_bytes: int) -> bytes:
        """Return the bytes of the cell."""
        try:
            cells = _opened(self.folder, _changed(self.folder))[self.row : self.row + 1].column(self.column)
        except InputError as error:
            raise ImageError("missing", str(error), name) from error
        except Exception as error:  # readers raise exceptions of any type on damaged files
            raise ImageError("truncated", " ".join(str(error).split())[:200], name) from error
        cell = cells[0].as_py()
        data = cell.get("bytes") if isinstance(cell, dict) else cell
        if not data:
            raise ImageError("empty", "the cell holds no bytes", name)
        if len(data) > max_bytes:
            raise ImageError("too_large", f"more than {max_bytes} bytes", name)
        return bytes(data)


def is_dataset(folder: Path) -> bool:
    """Return whether a folder is a saved dataset, or a folder of them."""
    return (folder / SPLITS).is_file() or all((folder / name).is_file() for name in DATASET)


def dataset_folder(folder: Path) -> Path:
    """Return the folder of the dataset; of a folder with one split the folder of the split.

    Raises:
        InputError: there are several splits.
    """
    if not (folder / SPLITS).is_file():
        return folder
    content = read_json(folder / SPLITS)
    splits = content.get("splits") if isinstance(content, dict) else None
    names = [str(name) for name in splits or [] if (folder / str(name) / DATASET[0]).is_file()]
    if len(names) != 1:
        listed = ", ".join(str(folder / name) for name in names) or "none"
        raise InputError(f"{folder} holds {len(names)} splits: {listed}. Name the folder of one.")
    return folder / names[0]


def rows_of(folder: Path) -> list[tuple[str, DatasetImage, dict[str, str]]]:
    """List name, content and columns of the images of a dataset, without reading the images.

    Raises:
        InputError: the package datasets is missing, or the dataset is damaged or has no column of images.
    """
    dataset = _opened(folder, _changed(folder))
    schema = dataset.features.arrow_schema
    column = image_column_of(schema)
    if column is None:
        raise InputError(f"{folder} has no column of images: bytes, or a struct with the field 'bytes'.")
    if len(dataset) > MAX_MEMBERS:
        raise InputError(f"{folder} has {len(dataset):,} rows; at most {MAX_MEMBERS:,} are read.")
    try:
        names = scalar_columns(schema, column)
        table = dataset.select_columns(names)[:] if names else None
        columns = {
            name: cells_as_text(table.column(name).to_pylist(), class_names(schema, name))
            for name in names
            if table is not None
        }
        paths = _paths(dataset, column)
    except Exception as error:  # as above
        detail = " ".join(str(error).split())[:200]
        raise InputError(f"{folder} is not a readable dataset: {detail}. Write it again.") from error
    cells = rows_of_columns(columns, len(dataset))
    named = zip(row_names(paths), range(len(dataset)), cells, strict=True)
    return [(name, DatasetImage(folder, column, row), cell) for name, row, cell in named]


def _paths(dataset: Any, column: str) -> list[str | None]:
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = dataset.features.arrow_schema.field(column).type
    if not pa.types.is_struct(kind) or kind.get_field_index("path") < 0:
        return [None] * len(dataset)
    paths: list[str | None] = []
    for batch in dataset.select_columns([column]).iter(batch_size=1000):
        paths += pc.struct_field(batch.column(column), "path").to_pylist()
    return paths


def _changed(folder: Path) -> int:
    try:
        return (folder / DATASET[0]).stat().st_mtime_ns
    except OSError:
        raise InputError(f"{folder} was removed.") from None


@lru_cache(maxsize=4)
def _opened(folder: Path, changed: int) -> Any:
    """Open a dataset once; rows are Arrow tables, and images stay encoded."""
    try:
        import datasets
    except ImportError:
        raise InputError(
            f"{folder} was saved by the library datasets; reading it needs: pip install 'facebench[sources]'"
        ) from None
    try:
        return datasets.load_from_disk(str(folder)).with_format("arrow")
    except Exception as error:  # the library raises exceptions of any type on damaged files
        detail = " ".join(str(error).split())[:200]
        raise InputError(f"{folder} is not a readable dataset: {detail}. Write it again.") from error
