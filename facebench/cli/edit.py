"""`facebench edit`: edit faces along a direction of a diffusion autoencoder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from facebench.cli.autoencoder_options import (
    DEFAULT_CHECKPOINT,
    Checkpoint,
    EncodeSteps,
    RenderSteps,
    open_autoencoder,
)
from facebench.cli.choices import Device
from facebench.cli.messages import print_line, print_skipped
from facebench.cli.progress import Stages

DEFAULT_STRENGTH = 0.3


def edit(
    images: Annotated[Path, typer.Argument(help="Folder or manifest of faces.")],
    out: Annotated[Path, typer.Argument(help="New folder of the edits and their manifest.")],
    attribute: Annotated[str, typer.Option(help="Attribute to change, such as happy or valence.")],
    directions: Annotated[
        Path, typer.Option(help="Output of `facebench train classifier`, or shipped directions.")
    ] = Path("directions-64-synthface"),
    checkpoint: Checkpoint = DEFAULT_CHECKPOINT,
    strength: Annotated[
        list[float] | None,
        typer.Option(help="Strength of the edit; may be repeated. The official notebook uses 0.3."),
    ] = None,
    target: Annotated[
        Path | None,
        typer.Option(help="Ground truth of the edits: images with the names of the sources."),
    ] = None,
    encode_steps: EncodeSteps = 250,
    render_steps: RenderSteps = 100,
    device: Annotated[Device, typer.Option(help="Device of the network.")] = Device.auto,
) -> None:
    """Edit faces along a direction of a diffusion autoencoder."""
    from facebench.training.editing import directions as direction_files
    from facebench.training.editing import edit_images

    strengths = strength or [DEFAULT_STRENGTH]
    autoencoder = open_autoencoder(checkpoint, encode_steps, render_steps, device.value)
    known = direction_files.read(directions).to(autoencoder.device)
    editor = edit_images.Editor(autoencoder, known, attribute)
    sources = edit_images.read_sources(images, autoencoder.size)
    print_skipped(sources.skipped)
    targets = None if target is None else edit_images.read_sources(target, autoencoder.size)
    with Stages() as stages:
        manifest = edit_images.write_edits(
            sources, editor, strengths, out, targets=targets, progress=stages.update
        )
    print_line(f"wrote {manifest}: {len(sources.items)} faces at {len(strengths)} strengths")
    protocol = "edit" if targets is None else "expression-transfer"
    print_line(f"evaluate them: facebench evaluate {manifest} --protocol {protocol} --by strength")
