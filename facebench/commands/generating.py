"""`facebench edit`, `reconstruct`, `sample`, `interpolate` and `align`: trained models at work."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from rich.console import Console

from facebench.cli.progress import Stages
from facebench.core.errors import InputError

if TYPE_CHECKING:
    from facebench.training.editing.autoencoder import Autoencoder


def edit_command(
    checkpoint: Path,
    directions: Path,
    images: Path,
    out: Path,
    *,
    attribute: str,
    strengths: list[float],
    encode_steps: int,
    render_steps: int,
    device: str,
    targets: Path | None = None,
) -> None:
    """Edit a folder of faces and say how to evaluate the edits."""
    from facebench.training.editing import directions as files
    from facebench.training.editing import edit_images

    autoencoder = _autoencoder(checkpoint, encode_steps, render_steps, device)
    found = files.read(directions).to(autoencoder.device)
    sources = edit_images.read_sources(images, autoencoder.size)
    _say_skipped(sources.skipped)
    aims = None if targets is None else edit_images.read_sources(targets, autoencoder.size)
    with Stages(Console(stderr=True)) as stages:
        manifest = edit_images.edit(
            sources, autoencoder, found, attribute, strengths, out, stages.update, aims
        )
    _say(f"wrote {manifest}: {len(sources.items)} faces at {len(strengths)} strengths")
    protocol = "edit" if targets is None else "expression-transfer"
    _say(f"evaluate them: facebench evaluate {manifest} --protocol {protocol} --by strength")


def reconstruct_command(
    checkpoint: Path, images: Path, out: Path, *, encode_steps: int, render_steps: int, device: str
) -> None:
    """Encode and render a folder of faces."""
    from facebench.training.editing import edit_images

    autoencoder = _autoencoder(checkpoint, encode_steps, render_steps, device)
    sources = edit_images.read_sources(images, autoencoder.size)
    _say_skipped(sources.skipped)
    with Stages(Console(stderr=True)) as stages:
        manifest = edit_images.reconstruct(sources, autoencoder, out, stages.update)
    _say(f"wrote {manifest}: {len(sources.items)} reconstructions")
    _say(f"evaluate them: facebench evaluate {manifest} --protocol edit")


def sample_command(
    checkpoint: Path, latent: Path | None, out: Path, *, count: int, steps: int, seed: int, device: str
) -> None:
    """Make faces that do not exist: from a DDIM model, or from an autoencoder and its latent model."""
    from facebench.synthface.dataset import new_folder
    from facebench.training.editing.edit_images import write_images
    from facebench.training.engine.image_grid import to_images

    folder = new_folder(out)
    made = (
        _ddim(checkpoint, count, steps, seed, device)
        if latent is None
        else _latent(checkpoint, latent, count, steps, seed, device)
    )
    write_images(folder, [f"{number:06d}.png" for number in range(count)], to_images(made))
    _say(f"wrote {count} faces to {folder}")


def interpolate_command(
    checkpoint: Path,
    first: Path,
    second: Path,
    out: Path,
    *,
    frames: int,
    encode_steps: int,
    render_steps: int,
    device: str,
) -> None:
    """Draw the faces between two faces."""
    from facebench.images.decoding import decode
    from facebench.synthface.dataset import new_folder
    from facebench.training.data.folders import square
    from facebench.training.editing.autoencoder import Codes, interpolated
    from facebench.training.editing.edit_images import write_images

    autoencoder = _autoencoder(checkpoint, encode_steps, render_steps, device)
    folder = new_folder(out)
    pictures = [square(decode(_bytes(path), path.name), autoencoder.size) for path in (first, second)]
    codes = autoencoder.encode(np.stack(pictures))
    ends = [Codes(codes.z_sem[row, None], codes.x_T[row, None]) for row in (0, 1)]
    made = autoencoder.render(interpolated(ends[0], ends[1], torch.linspace(0, 1, frames)))
    write_images(folder, [f"{number:03d}.png" for number in range(frames)], made)
    _say(f"wrote {frames} faces to {folder}")


def align_command(images: Path, out: Path, *, size: int) -> None:
    """Align photographs as FFHQ does."""
    from facebench.training.data.align_images import align_images

    with Stages(Console(stderr=True)) as stages:
        written, skipped = align_images(
            images, out, size, lambda done, total: stages.update("aligning", done, total)
        )
    _say_skipped(tuple(skipped))
    _say(f"wrote {written} aligned faces to {out}")


def _autoencoder(checkpoint: Path, encode_steps: int, render_steps: int, device: str) -> Autoencoder:
    from facebench.training.editing.autoencoder import Autoencoder, Steps
    from facebench.training.engine.model_file import device_of
    from facebench.training.models.load import open_diffae

    network = open_diffae(checkpoint, device_of(device))
    return Autoencoder(network, Steps(encode_steps, render_steps))


def _ddim(checkpoint: Path, count: int, steps: int, seed: int, device: str) -> torch.Tensor:
    from facebench.training.diffusion import ddim_decode
    from facebench.training.engine.model_file import device_of
    from facebench.training.models.load import open_ddim

    network, side = open_ddim(checkpoint, device_of(device))
    x_T = torch.randn((count, 3, side, side), generator=torch.Generator().manual_seed(seed))
    parts = torch.split(x_T, 16)
    return torch.cat([ddim_decode(network, part.to(device_of(device)), None, steps).cpu() for part in parts])


def _latent(checkpoint: Path, latent: Path, count: int, steps: int, seed: int, device: str) -> torch.Tensor:
    from facebench.training.editing.linear import LatentStatistics
    from facebench.training.engine.model_file import device_of
    from facebench.training.models.load import open_diffae, open_latent
    from facebench.training.tasks.latent import sample

    autoencoder = open_diffae(checkpoint, device_of(device))
    network, mean, std = open_latent(latent)
    if len(mean) != autoencoder.config.code_channels:
        raise InputError(
            f"{latent} makes codes of {len(mean)} numbers, {checkpoint} reads {autoencoder.config.code_channels}: "
            "it is the latent model of another autoencoder."
        )
    return sample(network, LatentStatistics(mean, std), autoencoder, count, seed=seed, steps=steps)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from None


def _say(text: str) -> None:
    Console().print(text, markup=False, soft_wrap=True)


def _say_skipped(skipped: tuple[str, ...]) -> None:
    messages = Console(stderr=True)
    for trouble in skipped[:10]:
        messages.print(f"skipped {trouble}", markup=False, soft_wrap=True)
    if len(skipped) > 10:
        messages.print(f"... and {len(skipped) - 10} more")
