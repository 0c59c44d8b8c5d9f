"""Values that options of several commands accept."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer


class Suite(str, Enum):
    """Networks of the literature (paper) or networks installed with facebench (compact)."""

    auto = "auto"
    paper = "paper"
    compact = "compact"


class Device(str, Enum):
    """Device of the networks."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"
    mps = "mps"


class TableFormat(str, Enum):
    """Format of the tables on the terminal."""

    auto = "auto"
    table = "table"
    plain = "plain"
    csv = "csv"
    json = "json"

    @property
    def is_data(self) -> bool:
        """Whether a program reads the output: it then holds one table and nothing else."""
        return self in (TableFormat.csv, TableFormat.json)


FormatOption = Annotated[
    TableFormat,
    typer.Option("--format", help="Format on the terminal; auto prints lines where a table does not fit."),
]


def split_list(text: str | None) -> list[str] | None:
    """Split the value of an option at its commas; None stays None.

    Example:
        >>> split_list("fid_clean, kid")
        ['fid_clean', 'kid']
    """
    return [part.strip() for part in text.split(",") if part.strip()] if text else None
