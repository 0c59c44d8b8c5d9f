"""Checks of the files beside a run record: the per-image table, the leave-out values and the data of the plots."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from facebench.core.errors import InputError
from facebench.core.json_files import read_json
from facebench.evaluation.record_fields import Count, Number, Share, Text

PER_IMAGE = "per_image.parquet"
LEAVE_OUT = "leave_out.parquet"
CURVES = "curves.json"

_REMEDY = "Evaluate again, or delete the file to continue without it."
_MAX_POINTS = 10_000
_TEXT_COLUMNS = ("role", "image")
_NUMBER_COLUMNS = frozenset(
    {"width", "height", "face_score", "face_x", "face_y", "face_width", "face_height", "map_x", "map_y"}
)
_NUMBER_PREFIXES = ("quality:", "closest_cosine:")


def read_per_image(folder: Path) -> pd.DataFrame | None:
    """Read the per-image table of a run folder; None where there is none.

    Raises:
        InputError: the file is damaged, lacks a column, or a column has another type; names the file.
    """
    return _read_table(folder / PER_IMAGE, _checked_table)


def read_leave_out(folder: Path) -> pd.DataFrame | None:
    """Read the values of metrics without each group of units; None where there are none.

    Raises:
        InputError: the file is damaged, lacks a column, or a column has another type; names the file.
    """
    return _read_table(folder / LEAVE_OUT, _checked_leave_out)


def _read_table(file: Path, check: Callable[[pd.DataFrame], pd.DataFrame]) -> pd.DataFrame | None:
    if not file.is_file():
        return None
    try:
        return check(pd.read_parquet(file))
    except Exception as error:  # the Parquet reader raises exceptions of any type on damaged files
        raise _damaged(file, error) from error


def read_curves(folder: Path) -> dict[str, Any] | None:
    """Read the data of the plots of a run folder; None where there are none.

    Raises:
        InputError: the file is damaged, or an entry lacks a key or has an impossible value; names the file.
    """
    file = folder / CURVES
    if not file.is_file():
        return None
    content = read_json(file)
    try:
        _Curves.model_validate(content)
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(str(step) for step in problem["loc"]) or "the file"
        raise _damaged(file, f"{key}: {problem['msg']}") from error
    return dict(content)


def _damaged(file: Path, problem: Exception | str) -> InputError:
    text = " ".join(str(problem).split())[:300] or type(problem).__name__
    return InputError(f"{file} is damaged: {text}. {_REMEDY}")


def _checked_table(table: pd.DataFrame) -> pd.DataFrame:
    columns = list(table.columns)
    if missing := sorted(set(_TEXT_COLUMNS) - set(columns)):
        raise ValueError(f"it has no column {', '.join(missing)}")
    if not all(isinstance(column, str) for column in columns) or len(set(columns)) < len(columns):
        raise ValueError("its columns need different names that are texts")
    for column in _TEXT_COLUMNS:
        if not table[column].map(lambda cell: isinstance(cell, str)).all():
            raise ValueError(f"the column {column} does not hold texts")
    for column in columns:
        is_number = column in _NUMBER_COLUMNS or column.startswith(_NUMBER_PREFIXES)
        if is_number and not pd.api.types.is_numeric_dtype(table[column]):
            raise ValueError(f"the column {column} does not hold numbers")
    return table


def _checked_leave_out(table: pd.DataFrame) -> pd.DataFrame:
    texts, numbers = ("metric", "generated_units", "reference_units"), ("group", "value")
    if missing := sorted({*texts, *numbers} - set(table.columns)):
        raise ValueError(f"it has no column {', '.join(missing)}")
    for column in texts:
        if not table[column].map(lambda cell: isinstance(cell, str)).all():
            raise ValueError(f"the column {column} does not hold texts")
    for column in numbers:
        if not pd.api.types.is_numeric_dtype(table[column]):
            raise ValueError(f"the column {column} does not hold numbers")
    return table


class _Entry(BaseModel):
    """Part of curves.json; later versions may add keys."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False)


class _ScoreCurve(_Entry):
    backbone: Text
    against: Literal["generated", "reference"]
    edges: Annotated[list[Number], Field(min_length=2, max_length=_MAX_POINTS)]
    genuine: list[Share]
    impostor: list[Share]
    fmr: Annotated[list[Share], Field(min_length=1, max_length=_MAX_POINTS)]
    fnmr: list[Share]
    eer: Share | None = None
    eer_threshold: Number | None

    @model_validator(mode="after")
    def _check_lengths(self) -> _ScoreCurve:
        bins = len(self.edges) - 1
        if len(self.genuine) != bins or len(self.impostor) != bins or len(self.fmr) != len(self.fnmr):
            raise ValueError("the lists have different lengths")
        if any(low >= high for low, high in zip(self.edges, self.edges[1:], strict=False)):
            raise ValueError("edges do not increase")
        return self


class _FrechetCurve(_Entry):
    metric: Text
    sizes: Annotated[list[Count], Field(min_length=1, max_length=_MAX_POINTS)]
    distances: list[Number]

    @model_validator(mode="after")
    def _check_lengths(self) -> _FrechetCurve:
        if len(self.sizes) != len(self.distances):
            raise ValueError("sizes and distances have different lengths")
        return self


class _EditCurve(_Entry):
    metric: Text
    strengths: Annotated[list[Number], Field(min_length=1, max_length=_MAX_POINTS)]
    gained: list[Share]
    gained_low: list[Share]
    gained_high: list[Share]
    kept: list[Share]
    kept_low: list[Share]
    kept_high: list[Share]
    n: Count

    @model_validator(mode="after")
    def _check_lengths(self) -> _EditCurve:
        lists = (self.gained, self.gained_low, self.gained_high, self.kept, self.kept_low, self.kept_high)
        if any(len(each) != len(self.strengths) for each in lists):
            raise ValueError("the lists have different lengths")
        return self


class _Map(_Entry):
    backbone: Text
    fitted_on: Annotated[str, Field(pattern=r"^(generated|reference(:.+)?)$")]
    explained: tuple[Share, Share]


class _Curves(_Entry):
    scores: list[_ScoreCurve] = []
    frechet: list[_FrechetCurve] = []
    edits: list[_EditCurve] = []
    map: _Map | None = None
