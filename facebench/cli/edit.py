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
from facebench.core.errors import InputError

if TYPE_CHECKING:
    from facebench.training.editing.autoencoder import Steps

DEFAULT_STRENGTH = 0.3


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
        bool, typer.Option("--force", help="Edit photographs with the shipped model of rendered faces.")
    ] = False,
    device: Annotated[Device, typer.Option(help="Device of the network.")] = Device.auto,
) -> None:
    """Edit faces along a direction of a diffusion autoencoder."""
    from facebench.training.editing import directions as direction_files
    from facebench.training.editing import edit_images

    strengths = strength or [DEFAULT_STRENGTH]
    steps = preset_steps(preset, device.value)
    autoencoder = open_autoencoder(
        checkpoint, encode_steps or steps.encode, render_steps or steps.render, device.value
    )
    known = direction_files.read(directions).to(autoencoder.device)
    editor = edit_images.Editor(autoencoder, known, attribute)
    if checkpoint == DEFAULT_CHECKPOINT and not force:
        refuse_photographs(images)
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


def refuse_photographs(images: Path) -> None:
    """Raise an error when the sources of the shipped model of rendered faces are photographs.

    Raises:
        InputError: most of the examined faces are photographs.
    """
    from facebench.evaluation.config import EvaluationConfig
    from facebench.evaluation.domain import find_domains
    from facebench.images.image_set import ImageSet

    config = EvaluationConfig.build(generated=images)
    found = find_domains({"generated": ImageSet.open(images)}, config).get("generated")
    if found is not None and found.domain == "photographs":
        raise InputError(
            f"The faces in {images} are photographs ({found.source}). {DEFAULT_CHECKPOINT} was trained on rendered "
            "faces only. Give a model of photographs with --checkpoint and --directions, or add --force."
        )
