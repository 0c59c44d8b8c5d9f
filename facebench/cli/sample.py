"""`facebench sample`: new faces from a DDIM model, or from an autoencoder and its latent model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facebench.cli.choices import Device
from facebench.cli.messages import print_line
from facebench.core.errors import InputError

if TYPE_CHECKING:
    import torch

BATCH_SIZE = 16


def sample(
    checkpoint: Annotated[Path, typer.Argument(help="A DDIM model, or an autoencoder with --latent.")],
    out: Annotated[Path, typer.Argument(help="New folder of the faces.")],
    latent: Annotated[Path | None, typer.Option(help="Latent model of the autoencoder.")] = None,
    count: Annotated[int, typer.Option(min=1, help="Number of faces.")] = 64,
    steps: Annotated[int, typer.Option(min=1, help="DDIM steps.")] = 100,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the noise.")] = 0,
    device: Annotated[Device, typer.Option(help="Device of the networks.")] = Device.auto,
) -> None:
    """Generate new faces with a DDIM model or an autoencoder."""
    from facebench.synthface.dataset import new_folder
    from facebench.training.editing.edit_images import write_images
    from facebench.training.engine.image_grid import to_images
    from facebench.training.engine.model_file import device_of

    folder = new_folder(out)
    if latent is None:
        faces = _sample_ddim(checkpoint, count, steps, seed, device_of(device.value))
    else:
        faces = _sample_latent(checkpoint, latent, count, steps, seed, device_of(device.value))
    write_images(folder, [f"{number:06d}.png" for number in range(count)], to_images(faces))
    print_line(f"wrote {count} faces to {folder}")


def _sample_ddim(checkpoint: Path, count: int, steps: int, seed: int, device: torch.device) -> torch.Tensor:
    import torch

    from facebench.training.diffusion import ddim_decode
    from facebench.training.models.load import open_ddim

    network, side = open_ddim(checkpoint, device)
    x_T = torch.randn((count, 3, side, side), generator=torch.Generator().manual_seed(seed))
    batches = torch.split(x_T, BATCH_SIZE)
    return torch.cat([ddim_decode(network, batch.to(device), None, steps).cpu() for batch in batches])


def _sample_latent(
    checkpoint: Path, latent: Path, count: int, steps: int, seed: int, device: torch.device
) -> torch.Tensor:
    from facebench.training.editing.linear import LatentStatistics
    from facebench.training.models.load import open_autoencoder, open_latent
    from facebench.training.tasks import latent as latent_task

    autoencoder = open_autoencoder(checkpoint, device)
    network, mean, std = open_latent(latent)
    if len(mean) != autoencoder.config.code_channels:
        raise InputError(
            f"{latent} generates codes of {len(mean)} channels, {checkpoint} expects "
            f"{autoencoder.config.code_channels}. Use the latent model of this autoencoder."
        )
    statistics = LatentStatistics(mean, std)
    return latent_task.sample(network, statistics, autoencoder, count, seed=seed, steps=steps)
