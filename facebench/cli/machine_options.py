"""Options of commands that run many jobs: where the jobs run."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer

from facebench.cli.entry_point import run_command

if TYPE_CHECKING:
    from facebench.studies.grid import Machines


class Engine(str, Enum):
    """This machine, or a Ray cluster."""

    local = "local"
    ray = "ray"


Workers = Annotated[int, typer.Option(min=1, help="Number of parallel jobs.")]
Gpus = Annotated[
    str | None, typer.Option(help="Indices of GPUs, such as 0,1,2,3; each runs one job at a time.")
]
EngineOption = Annotated[
    Engine,
    typer.Option(help="Where jobs run; the machines of a Ray cluster must see the same files."),
]
Address = Annotated[str | None, typer.Option(help="Address of a running Ray cluster.")]


def machines(workers: int, gpus: str | None, engine: Engine, address: str | None) -> Machines:
    """Return where the jobs run.

    Raises:
        InputError: an address without Ray.
    """
    from facebench.core.errors import InputError
    from facebench.studies.grid import Machines

    if address is not None and engine == Engine.local:
        raise InputError(f"The address '{address}' refers to a Ray cluster. Add --engine ray.")
    return Machines(
        workers,
        gpus.split(",") if gpus else (),
        "ray" if engine == Engine.ray else "local",
        address,
        run_command,
    )
