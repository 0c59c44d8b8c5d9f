"""`facebench align`: crop and align faces in photographs."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facebench.cli.messages import print_line, print_message, print_skipped
from facebench.cli.progress import Stages
from facebench.core.errors import InputError

if TYPE_CHECKING:
    from facebench.images.image_set import ImageSet

SIZE = 256


class Detector(str, Enum):
    """Face detectors."""

    yunet = "yunet"
    mtcnn = "mtcnn"


class Crop(str, Enum):
    """Crops that the protocols use."""

    arcface112 = "arcface112"
    ffhq256 = "ffhq256"
    ffhq512 = "ffhq512"


class Layout(str, Enum):
    """Layouts of the images."""

    folder = "folder"
    affectnet = "affectnet"
    celebahq = "celebahq"
    ffhq = "ffhq"
    tufts = "tufts"
    tufts_id_booth = "tufts-id-booth"


class Split(str, Enum):
    """Splits of AffectNet."""

    train = "train"
    val = "val"


def align(
    images: Annotated[Path, typer.Argument(help="Folder or manifest of photographs.")],
    out: Annotated[Path, typer.Argument(help="New folder of the aligned faces.")],
    template: Annotated[
        Crop | None, typer.Option(help="Crop and size: as recognisers read faces, or as in FFHQ.")
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(min=16, max=4096, help="Width and height in pixels of FFHQ's crop; 256 if not given."),
    ] = None,
    detector: Annotated[Detector, typer.Option(help="Face detector.")] = Detector.yunet,
    jpeg: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=100,
            help="Write JPEG of this quality in place of PNG, so that two sets are compressed alike.",
        ),
    ] = None,
    kind: Annotated[
        Layout, typer.Option(help="Layout of the images: a folder, or a public data set as downloaded.")
    ] = Layout.folder,
    split: Annotated[Split, typer.Option(help="Split of AffectNet.")] = Split.train,
) -> None:
    """Crop and align faces in photographs, as FFHQ does by default.

    Names and labels are kept. not_aligned.csv lists the images without an aligned face.
    """
    from facebench.training.data.align_images import TEMPLATES, Template, align_images

    if template is not None and size is not None:
        raise InputError(f"--template {template.value} has a size already. Leave out --size or --template.")
    chosen = Template("ffhq", size or SIZE) if template is None else TEMPLATES[template.value]
    image_set = _open(images, kind.value, split.value)
    for warning in image_set.warnings:
        print_message(warning)
    with Stages() as stages:
        written, skipped = align_images(
            image_set, out, chosen, stages.update, face_detector=detector.value, jpeg=jpeg
        )
    print_skipped(skipped)
    print_line(f"wrote {written} aligned faces to {out}")


def _open(images: Path, kind: str, split: str) -> ImageSet:
    from facebench.images.affectnet import affectnet
    from facebench.images.image_set import ImageSet
    from facebench.training.data.datasets import DATASETS

    if kind == "folder":
        return ImageSet.open(images)
    return affectnet(images, split) if kind == "affectnet" else DATASETS[kind](images)
