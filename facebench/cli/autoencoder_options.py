"""Options of commands that encode and decode with a diffusion autoencoder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from facebench.training.editing.autoencoder import Autoencoder


DEFAULT_CHECKPOINT = Path("diffae-64-synthface")

Checkpoint = Annotated[
    Path,
    typer.Option(
        help="Model file, folder of a run, official checkpoint, shipped model, or ffhq256-autoenc for photographs."
    ),
]
EncodeSteps = Annotated[
    int, typer.Option(help="DDIM steps of the encoding. The official code uses 250; 20 is faster.")
]
RenderSteps = Annotated[
    int, typer.Option(help="DDIM steps of the decoding. The official code uses 100; 20 is faster.")
]


def open_autoencoder(checkpoint: Path, encode_steps: int, render_steps: int, device: str) -> Autoencoder:
    """Load an autoencoder onto a device.

    Raises:
        InputError: the checkpoint is missing or holds another network.
    """
    from facebench.training.editing.autoencoder import Autoencoder, Steps
    from facebench.training.engine.model_file import device_of
    from facebench.training.models import load

    network = load.open_autoencoder(checkpoint, device_of(device))
    return Autoencoder(
        network, Steps(encode_steps, render_steps), _batch(network.config.size, device_of(device).type)
    )


def _batch(size: int, device: str) -> int:
    """Return the faces per batch: 16 on a GPU, and on a CPU as many pixels as 16 faces of 64 pixels."""
    return 16 if device != "cpu" else max(1, 16 * 64**2 // size**2)
