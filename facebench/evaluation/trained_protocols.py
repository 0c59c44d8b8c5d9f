"""Protocols that train a network on generated faces, each with its own command: `protocols/trained/*.yaml`."""

from __future__ import annotations

from functools import cache
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from facebench.core.errors import InputError
from facebench.core.shipped_data import data_folder
from facebench.evaluation.protocols import Published, TableLayout
from facebench.evaluation.yaml_files import load_yaml


class Measure(BaseModel):
    """One measured value of a trained protocol."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    about: str
    better: Literal["higher", "lower", "neither"] = "higher"
    decimals: int = Field(default=3, ge=0, le=8)


class TrainedProtocol(BaseModel):
    """A protocol that trains networks: its command, its measures, and published values."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[a-z0-9-]+$")
    title: str
    about: str
    command: str
    measures: dict[str, Measure]
    table: TableLayout = TableLayout()
    published: Published | None = None


@cache
def load_trained_protocols() -> dict[str, TrainedProtocol]:
    """Return all trained protocols by id.

    Example:
        >>> load_trained_protocols()["recognition-utility"].command
        'facebench utility'
    """
    files = sorted((data_folder("protocols") / "trained").glob("*.yaml"))
    return {protocol.id: protocol for file in files for protocol in load_yaml(file, TrainedProtocol)}


def check_not_trained(protocol: str) -> None:
    """Raise an error with the right command if `facebench evaluate` cannot run a protocol.

    Raises:
        InputError: the protocol trains networks.
    """
    trained = load_trained_protocols().get(protocol)
    if trained is not None:
        raise InputError(
            f"The protocol '{protocol}' trains networks and has its own command: {trained.command} DIR"
        )
