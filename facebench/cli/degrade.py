"""`facebench degrade`: a copy of a synthetic set that is degraded by a known amount."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from facebench.cli.messages import print_line
from facebench.cli.progress import Stages


def degrade(
    source: Annotated[Path, typer.Argument(help="Set written by `facebench synth`.")],
    out: Annotated[Path, typer.Argument(help="New folder of the copy.")],
    kind: Annotated[
        str,
        typer.Option(
            help="blur, jpeg, noise, occlusion, darkness, identity_drift, expression_strength or mode_collapse."
        ),
    ],
    strength: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Amount: 0 changes nothing, 1 is the largest.")
    ] = 0.5,
    seed: Annotated[int, typer.Option(help="Seed; equal seeds give equal bytes.")] = 0,
) -> None:
    """Write a copy of a synthetic set that is degraded by a known amount."""
    from facebench.synthface import RenderOptions, degradations

    with Stages() as stages:
        degradations.degrade(out, source, kind, strength, seed, RenderOptions(progress=stages.update))
    print_line(f"wrote {out}: {source} with {kind} {strength:g}")
