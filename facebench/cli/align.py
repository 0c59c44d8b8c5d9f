"""`facebench align`: crop and align faces in photographs."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from facebench.cli.messages import print_line, print_skipped
from facebench.cli.progress import Stages


class Detector(str, Enum):
    """Face detectors."""

    yunet = "yunet"
    mtcnn = "mtcnn"


def align(
    images: Annotated[Path, typer.Argument(help="Folder or manifest of photographs.")],
    out: Annotated[Path, typer.Argument(help="New folder of the aligned faces.")],
    size: Annotated[int, typer.Option(min=16, max=4096, help="Width and height in pixels.")] = 256,
    detector: Annotated[Detector, typer.Option(help="Face detector.")] = Detector.yunet,
    jpeg: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=100,
            help="Write JPEG of this quality in place of PNG, so that two sets are compressed alike.",
        ),
    ] = None,
) -> None:
    """Crop and align faces in photographs as FFHQ does."""
    from facebench.training.data.align_images import align_images

    with Stages() as stages:
        written, skipped = align_images(
            images, out, size, stages.update, face_detector=detector.value, jpeg=jpeg
        )
    print_skipped(skipped)
    print_line(f"wrote {written} aligned faces to {out}")
