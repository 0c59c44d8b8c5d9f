"""Commands that make faces with trained models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from facebench.cli.choices import CHECKPOINT, ENCODE, RENDER, Device

PANEL = "Edit and generate"
app = typer.Typer()


@app.command(rich_help_panel=PANEL)
def align(
    images: Annotated[Path, typer.Argument(help="Folder or manifest of photographs.")],
    out: Annotated[Path, typer.Argument(help="New folder.")],
    size: Annotated[int, typer.Option(min=16, max=4096, help="Side in pixels.")] = 256,
) -> None:
    """Cut faces out of photographs as FFHQ does."""
    from facebench.commands.generating import align_command

    align_command(images, out, size=size)


@app.command(rich_help_panel=PANEL)
def edit(
    images: Annotated[Path, typer.Argument(help="Folder or manifest of faces.")],
    out: Annotated[Path, typer.Argument(help="New folder for the edits and their manifest.")],
    attribute: Annotated[str, typer.Option(help="What to change, such as happy or valence.")],
    directions: Annotated[
        Path, typer.Option(help="What `facebench train classifier` wrote, or shipped directions.")
    ] = Path("directions-64-synthface"),
    checkpoint: CHECKPOINT = Path("diffae-64-synthface"),
    strength: Annotated[
        list[float] | None,
        typer.Option(help="How far; may be given several times. The official notebook uses 0.3."),
    ] = None,
    target: Annotated[
        Path | None,
        typer.Option(help="What the edits should look like: images of the same names as the sources."),
    ] = None,
    encode_steps: ENCODE = 250,
    render_steps: RENDER = 100,
    device: Annotated[Device, typer.Option(help="Where to run.")] = Device.auto,
) -> None:
    """Edit faces along a direction of a diffusion autoencoder."""
    from facebench.commands.generating import edit_command

    edit_command(
        checkpoint, directions, images, out, attribute=attribute, strengths=strength or [0.3],
        encode_steps=encode_steps, render_steps=render_steps, device=device.value, targets=target,
    )  # fmt: skip


@app.command(rich_help_panel=PANEL)
def reconstruct(
    images: Annotated[Path, typer.Argument(help="Folder or manifest of faces.")],
    out: Annotated[Path, typer.Argument(help="New folder.")],
    checkpoint: CHECKPOINT = Path("diffae-64-synthface"),
    encode_steps: ENCODE = 250,
    render_steps: RENDER = 100,
    device: Annotated[Device, typer.Option(help="Where to run.")] = Device.auto,
) -> None:
    """Encode faces with a diffusion autoencoder and draw them again."""
    from facebench.commands.generating import reconstruct_command

    reconstruct_command(
        checkpoint, images, out, encode_steps=encode_steps, render_steps=render_steps, device=device.value
    )


@app.command(rich_help_panel=PANEL)
def interpolate(
    first: Annotated[Path, typer.Argument(help="Image of a face.")],
    second: Annotated[Path, typer.Argument(help="Image of another.")],
    out: Annotated[Path, typer.Argument(help="New folder.")],
    checkpoint: CHECKPOINT = Path("diffae-64-synthface"),
    frames: Annotated[int, typer.Option(min=2, help="How many, both ends included.")] = 8,
    encode_steps: ENCODE = 250,
    render_steps: RENDER = 100,
    device: Annotated[Device, typer.Option(help="Where to run.")] = Device.auto,
) -> None:
    """Draw the faces between two faces."""
    from facebench.commands.generating import interpolate_command

    interpolate_command(
        checkpoint, first, second, out, frames=frames, encode_steps=encode_steps, render_steps=render_steps,
        device=device.value,
    )  # fmt: skip


@app.command(rich_help_panel=PANEL)
def sample(
    checkpoint: Annotated[Path, typer.Argument(help="A DDIM model, or an autoencoder with --latent.")],
    out: Annotated[Path, typer.Argument(help="New folder.")],
    latent: Annotated[Path | None, typer.Option(help="Latent model of the autoencoder.")] = None,
    count: Annotated[int, typer.Option(min=1, help="How many faces.")] = 64,
    steps: Annotated[int, typer.Option(min=1, help="DDIM steps.")] = 100,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    device: Annotated[Device, typer.Option(help="Where to run.")] = Device.auto,
) -> None:
    """Make faces that do not exist."""
    from facebench.commands.generating import sample_command

    sample_command(checkpoint, latent, out, count=count, steps=steps, seed=seed, device=device.value)


@app.command(rich_help_panel=PANEL)
def generate(
    base: Annotated[
        str, typer.Argument(help="Base model: a folder in diffusers' layout, or a name in the hub cache.")
    ],
    out: Annotated[Path, typer.Argument(help="Folder; a person gets a sub-folder of it.")],
    lora: Annotated[
        Path | None, typer.Option(help="Run of `train dreambooth`; without, prior images.")
    ] = None,
    identity: Annotated[str | None, typer.Option(help="Name of the person's sub-folder.")] = None,
    prompts: Annotated[
        str, typer.Option(help="base, complex, or a text file with a prompt a line.")
    ] = "base",
    count: Annotated[int, typer.Option(min=1, help="How many images.")] = 21,
    gender: Annotated[
        str | None, typer.Option(help="A word before 'sks person', as the released script adds.")
    ] = None,
    size: Annotated[int, typer.Option(min=8, help="Side in pixels.")] = 512,
    steps: Annotated[int, typer.Option(min=1, help="Sampling steps.")] = 30,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    device: Annotated[Device, typer.Option(help="Where to run.")] = Device.auto,
) -> None:
    """Draw a person with Stable Diffusion and trained adapters."""
    from facebench.commands.personal import generate_command

    generate_command(
        base, out, lora=lora, identity=identity, prompts=prompts, count=count, gender=gender, size=size, steps=steps,
        seed=seed, device=device.value,
    )  # fmt: skip


@app.command(rich_help_panel=PANEL)
def buffers(
    images: Annotated[Path, typer.Argument(help="Folder or manifest of faces.")],
    out: Annotated[Path, typer.Option(help="Folder to write; a stopped run goes on.")],
    source: Annotated[
        str, typer.Option(help="synthface, deca or emoca: who reads shape, expression, pose, light.")
    ] = "synthface",
    size: Annotated[int, typer.Option(min=16, max=1024, help="Side in pixels.")] = 64,
    mean_shape: Annotated[
        bool, typer.Option("--mean-shape", help="An album of one person: draw all with their mean shape.")
    ] = False,
    device: Annotated[Device, typer.Option(help="Where the networks run.")] = Device.auto,
    workers: Annotated[int | None, typer.Option(min=1, help="Threads that draw.")] = None,
) -> None:
    """Write the physical buffers (rendering, normals, albedo) that a DiffusionRig reads."""
    from facebench.commands.buffers import buffers_command

    buffers_command(
        images, out, source=source, size=size, album=mean_shape, device=device.value, workers=workers
    )


@app.command(rich_help_panel=PANEL)
def transfer(
    checkpoint: Annotated[Path, typer.Option(help="A DiffusionRig: folder of a training run, or a file.")],
    source: Annotated[Path, typer.Option(help="Images whose identity stays: folder or manifest.")],
    target: Annotated[Path, typer.Option(help="Images whose expression is taken.")],
    extractor_source: Annotated[
        str, typer.Option(help="Who reads the source: synthface, compact, deca, emoca.")
    ],
    extractor_target: Annotated[str, typer.Option(help="Who reads the target.")],
    out: Annotated[Path, typer.Option(help="Folder to write; a stopped run goes on.")],
    pairs: Annotated[
        Path | None, typer.Option(help="CSV with the columns source and target: names of images.")
    ] = None,
    take: Annotated[str, typer.Option(help="What is taken: expression, light or pose.")] = "expression",
    steps: Annotated[int, typer.Option(min=1, max=1000, help="Steps of DDIM.")] = 20,
    seed: Annotated[int, typer.Option(help="Of the noise that painting begins with.")] = 0,
    device: Annotated[Device, typer.Option(help="Where the networks run.")] = Device.auto,
) -> None:
    """Put the expression, light or pose of one face onto another with a DiffusionRig."""
    from facebench.commands.transferring import transfer_command

    transfer_command(
        checkpoint, source, target, out, extractor_source=extractor_source, extractor_target=extractor_target,
        pairs=pairs, what=take, steps=steps, seed=seed, device=device.value,
    )  # fmt: skip
