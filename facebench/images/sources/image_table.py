"""Tables with a column of images, as Hugging Face datasets store them: names and columns of the rows."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pyarrow as pa

from facebench.images.manifest import cell_text
from facebench.images.sources.content import unsafe

_PREFERRED = ("image", "img", "jpg", "png")


def image_column_of(schema: pa.Schema) -> str | None:
    """Return the column that holds images, as bytes or as a struct with `bytes`; None if there is none."""
    names = [field.name for field in schema if _holds_images(field.type)]
    return next((name for name in _PREFERRED if name in names), names[0] if names else None)


def scalar_columns(schema: pa.Schema, images: str) -> list[str]:
    """Return the columns that hold texts, numbers or booleans."""
    return [field.name for field in schema if field.name != images and _is_scalar(field.type)]


def cells_as_text(cells: Sequence[object], classes: Sequence[str]) -> list[str]:
    """Return cells as text; numbers of classes become their names."""
    known = [
        classes[cell] if classes and isinstance(cell, int) and 0 <= cell < len(classes) else cell
        for cell in cells
    ]
    return [cell_text(cell).strip() for cell in known]


def class_names(schema: pa.Schema, column: str) -> list[str]:
    """Return the names of the classes of a column, from the metadata of Hugging Face datasets."""
    try:
        content = json.loads((schema.metadata or {})[b"huggingface"])
        names = content["info"]["features"][column]["names"]
        return [str(name) for name in names]
    except (KeyError, TypeError, ValueError):
        return []


def row_names(paths: Sequence[str | None]) -> list[str]:
    """Return the paths where all are given, safe and different, else the numbers of the rows."""
    named = len(set(paths)) == len(paths) and all(text and not unsafe(text) for text in paths)
    return [str(text) for text in paths] if named else [f"{i:06d}" for i in range(len(paths))]


def rows_of_columns(columns: dict[str, list[str]], count: int) -> list[dict[str, str]]:
    """Return the non-empty cells of each row by column."""
    return [{name: texts[i] for name, texts in columns.items() if texts[i]} for i in range(count)]


def _holds_images(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        index = kind.get_field_index("bytes")
        return index >= 0 and _is_bytes(kind.field(index).type)
    return _is_bytes(kind)


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _is_scalar(kind: pa.DataType) -> bool:
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_integer, pa.types.is_floating)
    return pa.types.is_boolean(kind) or any(test(kind) for test in tests)
