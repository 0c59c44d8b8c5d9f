"""`facebench utility`: train recognisers on generated faces and verify them on real faces."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from facebench.cli.choices import Device, FormatOption, TableFormat, split_list
from facebench.cli.messages import Console, print_message
from facebench.cli.named_values import parse_tags
from facebench.cli.progress import TrainingProgress
from facebench.cli.verify_benchmark import DEFAULT_BENCHMARKS, Benchmarks
from facebench.core.extras import requires_extra
from facebench.core.files import safe_file_name


def utility(
    generated: Annotated[
        Path, typer.Argument(help="Generated faces: folder of identity folders, or manifest.")
    ],
    changes: Annotated[list[str] | None, typer.Argument(help="Changed settings of the training.")] = None,
    data: Annotated[Path, typer.Option(help="Folder of the benchmarks.")] = Path("benchmarks"),
    benchmarks: Benchmarks = DEFAULT_BENCHMARKS,
    validation: Annotated[
        str, typer.Option(help="Benchmark that selects the epoch; it is excluded from the average.")
    ] = "lfw",
    config: Annotated[str, typer.Option(help="Preset or YAML file of the training.")] = "resnet18-cosface",
    seeds: Annotated[int, typer.Option(min=1, help="Number of training runs.")] = 3,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run; finished parts that it holds are reused.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the model in tables.")] = None,
    tag: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Property of the model, for tables.")
    ] = None,
    device: Annotated[Device, typer.Option(help="Device of the training.")] = Device.auto,
    style: FormatOption = TableFormat.auto,
) -> None:
    """Train recognisers on generated faces and verify them on real faces."""
    from facebench.cli.terminal_runs import show_run
    from facebench.cli.terminal_tables import print_written

    with requires_extra("train"):
        from facebench.studies.recognition_utility import PROTOCOL, Request, recognition_utility

    folder = out or Path("runs") / safe_file_name(f"{generated.resolve().name}-{PROTOCOL}")
    request = Request(
        generated,
        data,
        folder,
        tuple(split_list(benchmarks) or ()),
        validation,
        config,
        tuple(changes or ()),
        seeds,
    )
    with TrainingProgress(Console(stderr=True), 1) as progress:
        run = recognition_utility(
            request,
            device=device.value,
            name=name,
            tags=parse_tags(tag),
            on_step=progress.update,
            on_message=print_message,
        )
    run.save(folder)
    show_run(run, style)
    print_written([folder], style)
