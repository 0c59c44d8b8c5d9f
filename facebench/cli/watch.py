"""`facebench watch`: evaluate the checkpoints of a training as they appear."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from facebench.cli.messages import print_line, print_message
from facebench.cli.named_values import parse_references


def watch(
    checkpoints: Annotated[
        Path, typer.Argument(help="Folder in which checkpoints appear, as files or folders.")
    ],
    sample: Annotated[
        str,
        typer.Option(
            metavar="CMD",
            help="Command that writes samples: {checkpoint} and {out} stand for the checkpoint and a new folder.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the records and of best.json.")] = Path("runs/watch"),
    reference: Annotated[
        list[str] | None, typer.Option(metavar="[NAME=]DIR", help="Real faces, or an NPZ file of statistics.")
    ] = None,
    protocol: Annotated[str, typer.Option(help="What to measure; see `facebench protocols`.")] = "quality",
    suite: Annotated[str, typer.Option(help="Networks: auto, paper or compact.")] = "auto",
    metrics: Annotated[
        str | None, typer.Option(help="Compute only these metrics, separated by commas.")
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(help="Metric of the best checkpoint; the primary metric of the protocol by default."),
    ] = None,
    pattern: Annotated[str, typer.Option(help="Names of checkpoints, such as '*.safetensors'.")] = "*",
    interval: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks at the folder.")] = 30.0,
    once: Annotated[
        bool, typer.Option("--once", help="Evaluate the checkpoints that exist, and end.")
    ] = False,
) -> None:
    """Evaluate the checkpoints of a training as they appear, and keep the best in best.json.

    A checkpoint is better than the best one only if the interval of their difference excludes zero.
    """
    from facebench.studies.watch import Watch, Watched
    from facebench.studies.watch import watch as watch_folder

    options: dict[str, Any] = {"protocol": protocol, "suite": suite, "reference": parse_references(reference)}
    if metrics is not None:
        options["metrics"] = metrics

    def describe(found: Watched) -> str:
        result = "best" if found.judged.is_new else "not better than the best"
        return f"{found.checkpoint.name}: {result}, {found.judged.reason}; record {found.folder}"

    settings = Watch(checkpoints, sample, out, options, pattern, metric)
    count = 0
    for found in watch_folder(settings, interval=interval, once=once, on_message=print_message):
        print_line(describe(found))
        count += 1
    print_line(f"evaluated {count} checkpoints")
