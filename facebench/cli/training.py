"""Commands that train models, and find out what generated faces teach."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from facebench.cli.choices import Device

PANEL = "Train"
app = typer.Typer()


@app.command(rich_help_panel=PANEL)
def train(
    kind: Annotated[
        str, typer.Argument(help="What to train: diffae, ddim, latent-dpm, recognition, rig ...")
    ],
    changes: Annotated[
        list[str] | None,
        typer.Argument(
            help="Folder of faces, and changes of the settings: steps=1000 optimiser.learning_rate=1e-4."
        ),
    ] = None,
    config: Annotated[
        str | None, typer.Option(help="A preset or a YAML file; by default the preset on synthetic faces.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the run; a run that it holds goes on.")] = Path(
        "runs/train"
    ),
    device: Annotated[Device, typer.Option(help="Where to train.")] = Device.auto,
    accept_changes: Annotated[
        bool, typer.Option("--accept-changes", help="Go on with a run although its settings have changed.")
    ] = False,
) -> None:
    """Train a model; the same command goes on where a run stopped."""
    from facebench.commands.training import train_command

    train_command(
        kind, changes or [], config=config, out=out, device=device.value, accept_changes=accept_changes
    )


@app.command(rich_help_panel=PANEL)
def grid(
    path: Annotated[Path, typer.Argument(metavar="GRID.yaml", help="Factors, data, training, transfer.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder (by default runs/NAME); a stopped grid goes on.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Jobs at a time.")] = 1,
    gpus: Annotated[
        str | None, typer.Option(help="Numbers of GPUs, such as 0,1,2,3: one job at a time on each.")
    ] = None,
    show: Annotated[bool, typer.Option("--show", help="List the commands and do nothing.")] = False,
) -> None:
    """Train, use, evaluate and compare a model for every combination of choices."""
    from facebench.commands.gridding import grid_command

    grid_command(path, out, workers=workers, gpus=gpus, show=show)


@app.command(rich_help_panel=PANEL)
def utility(
    generated: Annotated[Path, typer.Argument(help="Generated faces: identity folders, or a manifest.")],
    changes: Annotated[list[str] | None, typer.Argument(help="Changes of the training's settings.")] = None,
    data: Annotated[Path, typer.Option(help="Folder of the benchmarks.")] = Path("benchmarks"),
    benchmarks: Annotated[
        str, typer.Option(help="Names, separated by commas.")
    ] = "lfw,agedb_30,calfw,cfp_fp,cplfw",
    validation: Annotated[
        str, typer.Option(help="The one that chooses the epoch and stays out of the average.")
    ] = "lfw",
    config: Annotated[str, typer.Option(help="Preset or YAML file of the training.")] = "resnet18-cosface",
    seeds: Annotated[int, typer.Option(min=1, help="How many trainings.")] = 3,
    out: Annotated[Path | None, typer.Option(help="Folder of the run; what it holds goes on.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the model in tables.")] = None,
    tag: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="What the model is.")] = None,
    device: Annotated[Device, typer.Option(help="Where to train.")] = Device.auto,
) -> None:
    """Train recognisers on generated faces and verify them on real ones: what the faces are good for."""
    from facebench.commands.recognising import utility_command
    from facebench.evaluation.inputs import parse_tags

    utility_command(
        generated,
        changes or [],
        data=data,
        benchmarks=benchmarks.split(","),
        validation=validation,
        config=config,
        seeds=seeds,
        out=out,
        name=name,
        tags=parse_tags(tag),
        device=device.value,
    )


@app.command("verify-benchmark", rich_help_panel=PANEL)
def verify_benchmark(
    checkpoint: Annotated[
        Path, typer.Argument(help="A run of `facebench train recognition`, or its model.safetensors.")
    ],
    data: Annotated[
        Path, typer.Option(help="Folder of NAME.bin files, or of NAME folders with pairs.txt inside.")
    ],
    benchmarks: Annotated[
        str, typer.Option(help="Names, separated by commas.")
    ] = "lfw,agedb_30,calfw,cfp_fp,cplfw",
    device: Annotated[Device, typer.Option(help="Where the network runs.")] = Device.auto,
    out: Annotated[Path | None, typer.Option(help="Write JSON: every fold, rates with intervals.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print that JSON, and nothing else, on stdout.")
    ] = False,
) -> None:
    """Ten-fold verification accuracy of a trained recogniser, with flip sum, and acceptance rates."""
    from facebench.commands.recognising import verify_command

    verify_command(checkpoint, benchmarks.split(","), data, device=device.value, out=out, as_json=as_json)
