"""Protocols that train a network on the generated faces: YAML of `protocols/trained`, each with its own command."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from facebench.core.errors import InputError
from facebench.core.shipped_data import data_folder
from facebench.evaluation.cards import Published, TableLayout, load_yaml


class Measure(BaseModel):
    """One number of such a protocol."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    about: str
    better: Literal["higher", "lower", "neither"] = "higher"
    decimals: int = Field(default=3, ge=0, le=8)


class Training(BaseModel):
    """What is trained and measured, by which command, and who published such numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[a-z0-9-]+$")
    title: str
    about: str
    command: str
    measures: dict[str, Measure]
    table: TableLayout = TableLayout()
    published: Published | None = None


@cache
def trainings() -> dict[str, Training]:
    """All of them by id.

    Example:
        >>> trainings()["recognition-utility"].command
        'facebench utility'
    """
    return {item.id: item for file in sorted(_folder().glob("*.yaml")) for item in load_yaml(file, Training)}  # type: ignore[type-var]


def refuse_training(protocol: str) -> None:
    """Point to the command of a protocol that `facebench evaluate` cannot run.

    Raises:
        InputError: the protocol trains networks.
    """
    if protocol in trainings():
        raise InputError(
            f"The protocol '{protocol}' trains networks and has its own command: {trainings()[protocol].command} DIR"
        )


def _folder() -> Path:
    return data_folder("protocols") / "trained"
