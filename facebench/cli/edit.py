"""`facebench edit`: edit faces along a direction of a diffusion autoencoder."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facebench.cli.autoencoder_options import (
    DEFAULT_CHECKPOINT,
    Checkpoint,
    open_autoencoder,
)
from facebench.cli.choices import Device
from facebench.cli.messages import print_line, print_skipped
from facebench.cli.progress import Stages

if TYPE_CHECKING:
    from facebench.training.editing.autoencoder import Steps

VISIBLE_STRENGTH = 0.8
"""Default strength of edits along directions of facebench: it moves valence by 0.5 (docs/diffae-64-synthface.md)."""
OFFICIAL_STRENGTH = 0.3
"""Default strength of edits with official checkpoints, that of the official notebook."""


class Preset(str, Enum):
    """Numbers of DDIM steps."""

    auto = "auto"
    fast = "fast"
    official = "official"


def edit(
    images: Annotated[Path, typer.Argument(help="Folder or manifest of faces.")],
    out: Annotated[Path, typer.Argument(help="New folder of the edits and their manifest.")],
    attribute: Annotated[str, typer.Option(help="Attribute to change, such as happy or valence.")],
    directions: Annotated[
        Path | None,
        typer.Option(
            help="Output of `facebench train classifier`, or an official classifier; those of the model by default."
        ),
    ] = None,
    checkpoint: Checkpoint = DEFAULT_CHECKPOINT,
    strength: Annotated[
        list[float] | None,
        typer.Option(
            help="Strength of the edit; may be repeated. 0.8 by default, 0.3 for official checkpoints, as in the "
            "official notebook."
        ),
    ] = None,
    target: Annotated[
        Path | None,
        typer.Option(help="Ground truth of the edits: images with the names of the sources."),
    ] = None,
    preset: Annotated[
        Preset,
        typer.Option(
            help="DDIM steps of encoding and rendering: fast (20 and 20) or official (250 and 100); "
            "auto is fast on a CPU."
        ),
    ] = Preset.auto,
    encode_steps: Annotated[int | None, typer.Option(help="DDIM steps of the encoding.")] = None,
    render_steps: Annotated[int | None, typer.Option(help="DDIM steps of the rendering.")] = None,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Edit images that the model is not made for: photographs, or faces without alignment.",
        ),
    ] = False,
    device: Annotated[Device, typer.Option(help="Device of the network.")] = Device.auto,
) -> None:
    """Edit faces along a direction of a diffusion autoencoder."""
    from facebench.training.editing import directions as direction_files
    from facebench.training.editing import edit_images

    official = is_official(checkpoint)
    strengths = strength or [OFFICIAL_STRENGTH if official else VISIBLE_STRENGTH]
    steps = preset_steps(preset, device.value)
    autoencoder = open_autoencoder(
        checkpoint, encode_steps or steps.encode, render_steps or steps.render, device.value
    )
    known = direction_files.read(directions or default_directions(checkpoint)).to(autoencoder.device)
    editor = edit_images.Editor(autoencoder, known, attribute)
    editor.check()
    if not force:
        check_sources(images, checkpoint, autoencoder.size)
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


def preset_steps(preset: Preset, device: str) -> Steps:
    """Return the DDIM steps of a preset; auto is fast on a CPU and official on a GPU."""
    from facebench.training.editing.autoencoder import FAST, OFFICIAL
    from facebench.training.engine.model_file import device_of

    if preset is Preset.auto:
        return FAST if device_of(device).type == "cpu" else OFFICIAL
    return FAST if preset is Preset.fast else OFFICIAL


def is_official(checkpoint: Path) -> bool:
    """Return whether a checkpoint is one of the authors of DiffAE, which reads aligned photographs."""
    from facebench.training.models.load import FFHQ256, OFFICIAL_SUFFIXES

    return str(checkpoint) == FFHQ256 or checkpoint.suffix in OFFICIAL_SUFFIXES


def default_directions(checkpoint: Path) -> Path:
    """Return the directions that belong to a model: the official ones for official checkpoints."""
    from facebench.training.models.load import FFHQ256_DIRECTIONS

    return Path(FFHQ256_DIRECTIONS if is_official(checkpoint) else "directions-64-synthface")


def check_sources(images: Path, checkpoint: Path, size: int) -> None:
    """Refuse photographs for the model of rendered faces, and faces that are not aligned for either model.

    Models that users trained are not checked, because they may be trained on any images.
    """
    from facebench.training.editing.source_checks import refuse_photographs, refuse_unaligned

    if checkpoint == DEFAULT_CHECKPOINT:
        refuse_photographs(images, str(checkpoint))
    if checkpoint == DEFAULT_CHECKPOINT or is_official(checkpoint):
        refuse_unaligned(images, size)
