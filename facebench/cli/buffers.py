"""`facebench buffers`: physical buffers of a set of images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from facebench.cli.choices import Device
from facebench.cli.messages import print_line
from facebench.cli.progress import Stages

SHOWN_SKIPPED = 5


def buffers(
    images: Annotated[Path, typer.Argument(help="Folder or manifest of faces.")],
    out: Annotated[Path, typer.Option(help="Output folder; the same command continues a stopped run.")],
    source: Annotated[
        str,
        typer.Option(
            help="Source of shape, expression, pose and light: synthface (known parameters), deca or emoca."
        ),
    ] = "synthface",
    size: Annotated[int, typer.Option(min=16, max=1024, help="Width and height in pixels.")] = 64,
    mean_shape: Annotated[
        bool,
        typer.Option("--mean-shape", help="Render all images with their mean shape, for one person's album."),
    ] = False,
    device: Annotated[Device, typer.Option(help="Device of the networks.")] = Device.auto,
    workers: Annotated[int | None, typer.Option(min=1, help="Number of rendering threads.")] = None,
) -> None:
    """Write the physical buffers (rendering, normals, albedo) that condition DiffusionRig."""
    from facebench.training.engine.model_file import device_of
    from facebench.training.rig.buffers import write_buffers

    with Stages() as stages:
        written = write_buffers(
            images,
            out,
            source=source,
            size=size,
            album=mean_shape,
            device=str(device_of(device.value)),
            workers=workers,
            progress=stages.update,
        )
    print_line(
        f"wrote {out}: {len(written)} faces of {written.about.size} pixels from {source}, "
        f"{written.bytes / len(written):,.0f} bytes per image"
    )
    if written.skipped:
        _print_skipped(written.skipped, out / "skipped.csv")


def _print_skipped(skipped: Sequence[tuple[str, str, str]], file: Path) -> None:
    """Print the number of skipped images for each reason, and the first of them."""
    counts = Counter(reason for _, reason, _ in skipped)
    reasons = ", ".join(f"{count} {reason}" for reason, count in counts.items())
    print_line(f"skipped {len(skipped)}: {reasons}", style="yellow")
    for name, reason, detail in skipped[:SHOWN_SKIPPED]:
        print_line(f"  {name}: {reason} ({detail})", style="dim")
    if len(skipped) > SHOWN_SKIPPED:
        print_line(f"  ... all of them: {file}", style="dim")
