"""`facebench interpolate`: the faces between two faces."""

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
from facebench.cli.messages import print_line
from facebench.core.errors import InputError
from facebench.core.files import check_regular


def interpolate(
    first: Annotated[Path, typer.Argument(help="Image of a face.")],
    second: Annotated[Path, typer.Argument(help="Image of another face.")],
    out: Annotated[Path, typer.Argument(help="New folder of the images.")],
    checkpoint: Checkpoint = DEFAULT_CHECKPOINT,
    frames: Annotated[int, typer.Option(min=2, help="Number of images, including both ends.")] = 8,
    encode_steps: EncodeSteps = 250,
    render_steps: RenderSteps = 100,
    device: Annotated[Device, typer.Option(help="Device of the network.")] = Device.auto,
) -> None:
    """Generate the faces between two faces."""
    import numpy as np
    import torch

    from facebench.images.decoding import decode
    from facebench.synthface.dataset import new_folder
    from facebench.training.data.folders import square
    from facebench.training.editing.autoencoder import Latents, interpolated
    from facebench.training.editing.edit_images import write_images

    autoencoder = open_autoencoder(checkpoint, encode_steps, render_steps, device.value)
    folder = new_folder(out)
    images = [square(decode(_read_bytes(path), path.name), autoencoder.size) for path in (first, second)]
    latents = autoencoder.encode(np.stack(images))
    start, end = (Latents(latents.z_sem[row, None], latents.x_T[row, None]) for row in (0, 1))
    faces = autoencoder.render(interpolated(start, end, torch.linspace(0, 1, frames)))
    write_images(folder, [f"{number:03d}.png" for number in range(frames)], faces)
    print_line(f"wrote {frames} faces to {folder}")


def _read_bytes(path: Path) -> bytes:
    check_regular(path)
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from None
