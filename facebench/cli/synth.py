"""`facebench synth`: render synthetic faces with known parameters."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from facebench.cli.choices import split_list
from facebench.cli.messages import print_line
from facebench.cli.progress import Stages
from facebench.core.extras import requires_extra
from facebench.core.progress import renamed


def synth(
    out: Annotated[Path, typer.Argument(help="New folder of the set.")],
    identities: Annotated[int, typer.Option(min=1, help="Number of identities.")] = 50,
    images: Annotated[int, typer.Option(min=1, help="Images of each identity.")] = 8,
    size: Annotated[int, typer.Option(min=32, max=1024, help="Width and height in pixels.")] = 128,
    seed: Annotated[int, typer.Option(help="Seed; equal seeds give equal bytes.")] = 0,
    expressions: Annotated[
        str | None, typer.Option(help="Render only these expressions, separated by commas.")
    ] = None,
    buffers: Annotated[
        bool, typer.Option("--buffers", help="Also write normals, albedo and shading.")
    ] = False,
    benchmark_bin: Annotated[
        list[Path] | None,
        typer.Option(
            help="Also write a verification benchmark of further identities, in the .bin format of insightface."
        ),
    ] = None,
    benchmark_people: Annotated[
        int, typer.Option(min=20, help="Identities of each benchmark; it has twice as many pairs.")
    ] = 300,
) -> None:
    """Render synthetic faces with known identity, expression, pose and light."""
    from facebench import synthface

    with Stages() as stages:
        synthface.write(
            out,
            identities=identities,
            images=images,
            size=size,
            seed=seed,
            expressions=split_list(expressions),
            options=synthface.RenderOptions(buffers=buffers, progress=stages.update),
        )
    print_line(f"wrote {out}: images, manifest.csv, parameters.npz")
    for number, path in enumerate(benchmark_bin or []):
        start = identities + number * benchmark_people
        _write_benchmark(path, people=benchmark_people, start=start, size=size, seed=seed)


def _write_benchmark(path: Path, *, people: int, start: int, size: int, seed: int) -> None:
    """Write pairs of the identities from `start` as a verification benchmark."""
    # Imported here because it imports torch, which rendering does not need.
    with requires_extra("train"):
        from facebench.training.data.sources import SynthfaceData
        from facebench.training.recognition.benchmarks import IMAGES, synthetic_pairs, write_pairs

    data = SynthfaceData(
        kind="synthface",
        identities=people,
        images=IMAGES,
        seed=seed,
        start=start,
        render=size,
        cache_renders=False,
    )
    with Stages() as stages:
        pairs = synthetic_pairs(data, renamed(stages.update, path.name))
    write_pairs(path, pairs)
    print_line(f"wrote {path}: {len(pairs.same)} pairs of identities {start} to {start + people - 1}")
