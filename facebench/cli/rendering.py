"""Commands that render faces whose truth is known."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

PANEL = "Synthetic faces"
app = typer.Typer()


@app.command(rich_help_panel=PANEL)
def synth(
    out: Annotated[Path, typer.Argument(help="New folder to write.")],
    identities: Annotated[int, typer.Option(min=1, help="Number of people.")] = 50,
    images: Annotated[int, typer.Option(min=1, help="Images of each.")] = 8,
    size: Annotated[int, typer.Option(min=32, max=1024, help="Side in pixels.")] = 128,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 0,
    expressions: Annotated[
        str | None, typer.Option(help="Only these expressions, separated by commas.")
    ] = None,
    buffers: Annotated[
        bool, typer.Option("--buffers", help="Also write normals, albedo and shading.")
    ] = False,
    benchmark_bin: Annotated[
        list[Path] | None,
        typer.Option(
            help="Also write a verification benchmark of other people, in insightface's .bin format."
        ),
    ] = None,
    benchmark_people: Annotated[
        int, typer.Option(min=20, help="People of each benchmark; twice as many pairs.")
    ] = 300,
) -> None:
    """Render synthetic faces whose identity, expression, pose and light are known."""
    from facebench.commands.synth import benchmark_command, synth_command

    options: dict[str, Any] = {"identities": identities, "images": images, "size": size, "seed": seed}
    synth_command(
        out, expressions=expressions.split(",") if expressions else None, buffers=buffers, **options
    )
    for number, path in enumerate(benchmark_bin or []):
        start = identities + number * benchmark_people
        benchmark_command(path, people=benchmark_people, start=start, size=size, seed=seed)


@app.command(rich_help_panel=PANEL)
def degrade(
    source: Annotated[Path, typer.Argument(help="A set written by `facebench synth`.")],
    out: Annotated[Path, typer.Argument(help="New folder to write.")],
    kind: Annotated[
        str,
        typer.Option(
            help="blur, jpeg, noise, occlusion, identity_drift, expression_strength or mode_collapse."
        ),
    ],
    strength: Annotated[float, typer.Option(min=0.0, max=1.0, help="0 is none, 1 the most.")] = 0.5,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 0,
) -> None:
    """Write a copy of a synthetic set that is worse by a known amount."""
    from facebench.commands.synth import degrade_command

    degrade_command(source, out, kind=kind, strength=strength, seed=seed)
