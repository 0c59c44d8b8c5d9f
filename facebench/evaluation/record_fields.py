"""Types of the fields of a run record, with the bounds that every value must keep."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from facebench.images.names import printable

MAX_NUMBER = 1e100
"""Largest magnitude of a number: differences, squares and sums of such numbers are finite."""
MAX_COUNT = 2**53
"""Largest count: every smaller integer is exact as a float."""
MAX_DECIMALS = 12
_MAX_TEXT = 100_000
_FIRST_YEAR, _LAST_YEAR = 2000, 2999


def _valid_text(value: Any) -> Any:
    """Return text whose bytes that are not UTF-8, as in file names, are escape sequences."""
    return printable(value) if isinstance(value, str) else value


Text = Annotated[str, BeforeValidator(_valid_text), StringConstraints(max_length=_MAX_TEXT)]
Number = Annotated[float, Field(ge=-MAX_NUMBER, le=MAX_NUMBER, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0, le=MAX_NUMBER, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, le=MAX_COUNT)]
Decimals = Annotated[int, Field(ge=0, le=MAX_DECIMALS)]
Seed = Annotated[int, Field(ge=0, lt=2**64)]


def _only_text(value: Any) -> Any:
    if not isinstance(value, str | datetime):
        raise ValueError("expected a time such as 2026-01-31T12:00:00+00:00")
    return value


def _with_zone(value: datetime) -> datetime:
    """Return a time with its zone; a time without a zone is UTC."""
    if not _FIRST_YEAR <= value.year <= _LAST_YEAR:
        raise ValueError(f"the year is not between {_FIRST_YEAR} and {_LAST_YEAR}")
    if value.tzinfo is None:
        return value.replace(tzinfo=timezone.utc)
    if abs(value.utcoffset() or timedelta()) > timedelta(hours=24):
        raise ValueError("the offset from UTC is more than a day")
    return value


Time = Annotated[datetime, BeforeValidator(_only_text), AfterValidator(_with_zone)]
"""A time with its zone; UTC where none is written."""
