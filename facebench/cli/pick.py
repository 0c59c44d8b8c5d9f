"""`facebench pick`: keep the best images of each group by a per-image metric."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from facebench.cli.messages import print_line
from facebench.core.errors import InputError


def pick(
    run: Annotated[Path, typer.Argument(help="Run folder whose per-image numbers rank the images.")],
    out: Annotated[Path, typer.Argument(help="New folder of the picked images and their manifest.")],
    by: Annotated[
        str, typer.Option(help="Metric that is a mean over images, or a column of the per-image table.")
    ],
    best: Annotated[int, typer.Option(min=1, help="Images to keep of each group.")] = 1,
    group: Annotated[
        str | None, typer.Option(help="Column whose values form the groups, such as source or identity.")
    ] = None,
    highest: Annotated[bool, typer.Option("--highest", help="Keep the highest numbers.")] = False,
    lowest: Annotated[bool, typer.Option("--lowest", help="Keep the lowest numbers.")] = False,
) -> None:
    """Keep the best images of each group by a per-image metric, marked as picked.

    A run over picked images is marked in its record and is not ranked beside runs over all images.
    """
    from facebench.compare.pick import Choice, pick
    from facebench.evaluation.record_reading import load_run

    if highest and lowest:
        raise InputError("--highest and --lowest exclude each other. Give one of them.")
    direction = lowest if highest or lowest else None
    result = pick(load_run(run), out, Choice(by, best, group, direction))
    if result.without_number:
        print_line(f"{result.without_number} images have no number for {by} and are not picked")
    print_line(f"wrote {result.manifest}: {result.images} images of {result.groups} groups")
    print_line(f"evaluate them: facebench evaluate {result.manifest}")
