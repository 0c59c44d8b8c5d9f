"""`facebench stats`: reference statistics of the features of an image set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from facebench.cli.messages import print_line
from facebench.cli.progress import Stages


def stats(
    images: Annotated[Path, typer.Argument(help="Folder, manifest or archive of images.")],
    out: Annotated[Path, typer.Option(help="NPZ file with mu, sigma and their provenance.")],
    network: Annotated[
        str, typer.Option(help="Network of the features, such as inception-clean or lite0.")
    ] = "inception-clean",
    device: Annotated[str, typer.Option(help="Device of the network: auto, cpu, cuda or mps.")] = "auto",
) -> None:
    """Write reference statistics of features, with the keys of pytorch-fid and clean-fid.

    `facebench evaluate DIR --reference FILE.npz` reads the file in place of the images.
    """
    from facebench.evaluation.statistics import image_statistics
    from facebench.evaluation.statistics_files import write_statistics

    with Stages() as stages:
        statistics = image_statistics(images, network, device=device, progress=stages.update)
    write_statistics(out, statistics)
    count = statistics.origin.n if statistics.origin else 0
    print_line(f"wrote {out}: {count} images, {network}, {len(statistics.mu)} features")
