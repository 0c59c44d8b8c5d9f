"""`facebench reconstruct`: encode faces with a diffusion autoencoder and decode them again."""

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


def reconstruct(
    images: Annotated[Path, typer.Argument(help="Folder or manifest of faces.")],
    out: Annotated[Path, typer.Argument(help="New folder of the reconstructions.")],
    checkpoint: Checkpoint = DEFAULT_CHECKPOINT,
    encode_steps: EncodeSteps = 250,
    render_steps: RenderSteps = 100,
    device: Annotated[Device, typer.Option(help="Device of the network.")] = Device.auto,
) -> None:
    """Encode faces with a diffusion autoencoder and decode them again."""
    from facebench.training.editing import edit_images

    autoencoder = open_autoencoder(checkpoint, encode_steps, render_steps, device.value)
    sources = edit_images.read_sources(images, autoencoder.size)
    print_skipped(sources.skipped)
    with Stages() as stages:
        manifest = edit_images.reconstruct(sources, autoencoder, out, stages.update)
    print_line(f"wrote {manifest}: {len(sources.items)} reconstructions")
    print_line(f"evaluate them: facebench evaluate {manifest} --protocol edit")
