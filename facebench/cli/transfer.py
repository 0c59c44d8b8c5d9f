"""`facebench transfer`: transfer expression, light or pose with DiffusionRig."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Annotated

import typer

from facebench.cli.choices import Device
from facebench.cli.messages import print_line
from facebench.cli.progress import Stages


def transfer(
    checkpoint: Annotated[
        Path, typer.Option(help="DiffusionRig: folder of a training run, or a model file.")
    ],
    source: Annotated[Path, typer.Option(help="Images whose identity is kept: folder or manifest.")],
    target: Annotated[Path, typer.Option(help="Images whose expression is used: folder or manifest.")],
    extractor_source: Annotated[
        str, typer.Option(help="Extractor for source images: synthface, compact, deca or emoca.")
    ],
    extractor_target: Annotated[str, typer.Option(help="Extractor for target images.")],
    out: Annotated[Path, typer.Option(help="Output folder; the same command continues a stopped run.")],
    pairs: Annotated[
        Path | None,
        typer.Option(
            help="CSV file of image names, with the columns source and target; all pairs every source and target."
        ),
    ] = None,
    take: Annotated[
        str, typer.Option(help="Property of the target to use: expression, light or pose.")
    ] = "expression",
    shape: Annotated[
        str | None,
        typer.Option(
            metavar="album|own|FILE",
            help="Shape of the sources: mean of the album, their own, or a mean_shape.pkl, LMDB database or album of "
            "buffers. By default album for models that were trained with a mean shape, else own.",
        ),
    ] = None,
    sampler: Annotated[
        str, typer.Option(help="Sampler: ddim, ddpm or dpm-solver++; steps may follow, such as ddim50.")
    ] = "ddim",
    steps: Annotated[
        int | None,
        typer.Option(min=1, max=1000, help="Steps; by default 20 (ddim), 1000 (ddpm), 30 (dpm-solver++)."),
    ] = None,
    diffusion_steps: Annotated[
        int,
        typer.Option(
            min=1, max=1000, help="Length of the noise schedule; other than 1000 differs from training."
        ),
    ] = 1000,
    candidates: Annotated[
        int, typer.Option(min=1, help="Images drawn for each transfer, of which one is kept.")
    ] = 1,
    keep: Annotated[
        str, typer.Option(help="Candidate that is kept: sharpest (variance of the Laplacian) or least-sharp.")
    ] = "sharpest",
    noise: Annotated[
        str, typer.Option(help="Initial noise: per-source, or shared by all images.")
    ] = "per-source",
    seed: Annotated[int, typer.Option(help="Seed of the initial noise.")] = 0,
    device: Annotated[Device, typer.Option(help="Device of the networks.")] = Device.auto,
) -> None:
    """Transfer the expression, light or pose of one face to another with DiffusionRig."""
    from facebench.training.engine.model_file import device_of
    from facebench.training.rig import transfer as rig_transfer

    with Stages() as stages:
        manifest = rig_transfer.transfer(
            checkpoint,
            source,
            target,
            out,
            extractor_source=extractor_source,
            extractor_target=extractor_target,
            pairs=pairs,
            what=take,
            shape=shape,
            sampler=sampler,
            steps=steps,
            diffusion_steps=diffusion_steps,
            candidates=candidates,
            keep=keep,
            noise=noise,
            seed=seed,
            device=str(device_of(device.value)),
            progress=stages.update,
        )
    print_line(f"wrote {manifest}: {len(_rows(manifest))} transfers")
    skipped_file = out / "skipped.csv"
    skipped = _rows(skipped_file)
    if skipped:
        first = f"{skipped[0]['image']}: {skipped[0]['reason']}"
        print_line(f"skipped {len(skipped)}, see {skipped_file}; the first: {first}", style="yellow")
    print_line(f"next: facebench evaluate {manifest} --protocol expression-transfer", style="dim")


def _rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))
