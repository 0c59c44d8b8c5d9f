"""Checks of manifest columns whose values have a meaning: identity, valence and arousal."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from facebench.core.errors import InputError
from facebench.images.manifest import Row

AFFECT_COLUMNS = ("valence", "arousal")
_PLACEHOLDER = -2.0
"""AffectNet writes -2 for images without valence and arousal."""
_OTHER_SCALE = 1.5
"""Values beyond this indicate a scale other than -1 to 1."""
_INTEGER_AS_FLOAT = re.compile(r"(-?\d+)\.0+")
_INTEGER = re.compile(r"-?\d+")


def checked_attributes(rows: Sequence[Row], path: Path) -> tuple[list[Row], tuple[str, ...]]:
    """Check identity, valence and arousal of a manifest.

    Integer identities that a spreadsheet wrote as decimal numbers lose their zeros ("1.0" becomes "1"). Cells of
    valence and arousal that are infinite or NaN, or the placeholder -2 of AffectNet, are left out. Text that is not a
    number is kept; the metrics that need a number report it.

    Returns:
        The rows and the warnings.

    Raises:
        InputError: valence or arousal has a scale other than -1 to 1.
    """
    checked = _integer_identities(rows)
    warnings: list[str] = []
    for column in AFFECT_COLUMNS:
        checked, found = _checked_affect(checked, column, path)
        warnings += found
    return checked, tuple(warnings)


def _integer_identities(rows: Sequence[Row]) -> list[Row]:
    """Write identities as integers if the column holds only integers, some of them as decimal numbers."""
    names = {row.columns["identity"] for row in rows if "identity" in row.columns}
    if not all(_INTEGER_AS_FLOAT.fullmatch(name) or _INTEGER.fullmatch(name) for name in names):
        return list(rows)
    return [
        Row(row.line, {**row.columns, "identity": _INTEGER_AS_FLOAT.sub(r"\1", row.columns["identity"])})
        if "identity" in row.columns
        else row
        for row in rows
    ]


def _checked_affect(rows: Sequence[Row], column: str, path: Path) -> tuple[list[Row], list[str]]:
    """Remove unusable cells of a column; return the rows and the warnings."""
    numbers = {row.line: _number(row.columns.get(column, "")) for row in rows}
    values = {line: number for line, number in numbers.items() if number is not None}
    usable = {line: value for line, value in values.items() if math.isfinite(value) and value != _PLACEHOLDER}
    outside = {line: value for line, value in usable.items() if abs(value) > 1}
    if any(abs(value) > _OTHER_SCALE for value in outside.values()):
        low, high = min(usable.values()), max(usable.values())
        raise InputError(
            f"{path}: {column} ranges from {low:g} to {high:g} (line {next(iter(outside))}). Rescale the column to "
            "the range -1 to 1, or rename it."
        )
    warnings = []
    if outside:
        warnings.append(f"{path.name}: {column} is outside the range -1 to 1 in {_lines(outside)}.")
    removed = {line: value for line, value in values.items() if line not in usable}
    if removed:
        warnings.append(
            f"{path.name}: {column} is left out where it is not finite or is the placeholder -2: {_lines(removed)}."
        )
    kept = [row if row.line not in removed else _without(row, column) for row in rows]
    return kept, warnings


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _lines(lines: Mapping[int, float]) -> str:
    first = next(iter(lines))
    return f"line {first}" if len(lines) == 1 else f"{len(lines)} rows, the first in line {first}"


def _without(row: Row, column: str) -> Row:
    return Row(row.line, {name: cell for name, cell in row.columns.items() if name != column})
