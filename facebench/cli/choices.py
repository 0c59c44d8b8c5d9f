"""What options choose from, and options that several commands share."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer


class Suite(str, Enum):
    """Which networks: those of the literature, or those that come with the installation."""

    auto = "auto"
    paper = "paper"
    compact = "compact"


class Engine(str, Enum):
    """Who decodes and computes."""

    local = "local"
    ray = "ray"


class Device(str, Enum):
    """Where the networks run."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"
    mps = "mps"


ENCODE = Annotated[int, typer.Option(help="DDIM steps of encoding; 250 is official, 20 is quick.")]
RENDER = Annotated[int, typer.Option(help="DDIM steps of rendering; 100 is official, 20 is quick.")]
CHECKPOINT = Annotated[
    Path,
    typer.Option(help="A model file, a run's folder, an official checkpoint, or a shipped model."),
]
