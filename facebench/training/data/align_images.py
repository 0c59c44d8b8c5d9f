"""Aligns a set of photographs to a template, keeps what is known of them, and lists those without a face."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from facebench.backbones import detector
from facebench.backbones.face_alignment import Face, align
from facebench.backbones.face_detector import FaceDetector
from facebench.backbones.ffhq_alignment import align_ffhq
from facebench.core.errors import InputError
from facebench.core.progress import Progress, no_progress
from facebench.evaluation.inputs import LINKED
from facebench.images.decoding import Image, ImageError, decode
from facebench.images.image_set import ImageSet, Item, read
from facebench.images.listing import Rejected
from facebench.synthface.dataset import new_folder
from facebench.training.editing.edit_images import unique_names, write_images, write_manifest

NOT_ALIGNED = "not_aligned.csv"
"""Images without an aligned face, and the reasons."""


@dataclass(frozen=True)
class Template:
    """Where the features of a face lie in the crop.

    Attributes:
        kind: "ffhq" as in FFHQ, or "arcface" as recognisers read faces.
        size: width and height of the crop in pixels.
        pads: search the face with a black border of half the size on each side, as ID-Booth's script does.
    """

    kind: Literal["ffhq", "arcface"]
    size: int
    pads: bool = False

    def crop(self, image: Image, face: Face) -> Image:
        """Return the crop of a face, uint8 (size, size, 3)."""
        cut = align_ffhq if self.kind == "ffhq" else align
        return cut(image, face.landmarks, self.size)


TEMPLATES: Mapping[str, Template] = {
    "arcface112": Template("arcface", 112, pads=True),
    "ffhq256": Template("ffhq", 256),
    "ffhq512": Template("ffhq", 512),
}
"""Crops that the protocols use, by name."""


def align_images(
    images: Path | ImageSet,
    out: Path,
    template: Template,
    progress: Progress = no_progress,
    *,
    face_detector: str = "yunet",
    jpeg: int | None = None,
) -> tuple[int, list[str]]:
    """Crop and align the most prominent face of every image.

    Manifest columns of the images are kept, except links to other images, which are not aligned here. If faces are
    missing, `not_aligned.csv` in the new folder lists the images and the reasons.

    Args:
        images: folder, manifest or opened set.
        out: new folder; the results have the names of the images with the suffix .png. If names would repeat, the
            results are numbered, and the column `original` of the manifest holds the names of the images.
        template: the crop.
        progress: callback invoked after each image.
        face_detector: "yunet" or "mtcnn".
        jpeg: quality of JPEG files, with the suffix .jpg; None for PNG.

    Returns:
        The number of aligned faces, and the reasons why the remaining images were skipped.

    Raises:
        InputError: the images do not exist, no face was found in any of them, or the folder is not empty.
    """
    image_set = images if isinstance(images, ImageSet) else ImageSet.open(images)
    folder, finder = new_folder(out), detector(face_detector)
    skipped = list(image_set.rejected)
    rows = []
    names = unique_names(image_set.items)
    names = names if jpeg is None else [str(Path(name).with_suffix(".jpg")) for name in names]
    for number, (item, name) in enumerate(zip(image_set.items, names, strict=True), start=1):
        crop = _aligned(item, template, finder)
        if isinstance(crop, Rejected):
            skipped.append(crop)
        else:
            write_images(folder, [name], crop[None], jpeg)
            rows.append({"image": name, **_unlinked_columns(item), **_original(item, name)})
        progress("aligning", number, len(image_set))
    if skipped:
        write_manifest(
            folder / NOT_ALIGNED, [{"image": entry.name, "reason": entry.detail} for entry in skipped]
        )
    if not rows:
        raise InputError(
            f"{image_set.root}: no face was aligned; {folder / NOT_ALIGNED} lists the reasons. The first: "
            f"{skipped[0].name}: {skipped[0].detail}."
        )
    if skipped or any(len(row) > 1 for row in rows):
        write_manifest(folder / "manifest.csv", rows)
    return len(rows), [f"{entry.name}: {entry.detail}" for entry in skipped]


def _aligned(item: Item, template: Template, finder: FaceDetector) -> Image | Rejected:
    try:
        pixels = decode(read(item), item.name)
    except ImageError as error:
        return Rejected(item.name, error.reason, error.detail)
    face = _find(pixels, finder, template)
    return (
        Rejected(item.name, "no_face", "no face was detected")
        if face is None
        else template.crop(pixels, face)
    )


def _find(image: Image, finder: FaceDetector, template: Template) -> Face | None:
    """Find the face; tight crops, in which detectors miss faces, are searched again with a border."""
    face = None if template.pads else finder.find(image)
    return _find_in_border(image, finder) if face is None else face


def _find_in_border(image: Image, finder: FaceDetector) -> Face | None:
    """Find the face in the image with a black border of half its size on each side."""
    top, left = image.shape[0] // 2, image.shape[1] // 2
    face = finder.find(np.pad(image, ((top, top), (left, left), (0, 0))))
    if face is None:
        return None
    x, y, width, height = face.box
    return replace(
        face,
        box=(x - left, y - top, width, height),
        landmarks=face.landmarks - np.array([left, top], np.float32),
    )


def _original(item: Item, name: str) -> dict[str, str]:
    is_renamed = Path(name).with_suffix("") != Path(item.name).with_suffix("")
    return {"original": item.name} if is_renamed else {}


def _unlinked_columns(item: Item) -> dict[str, str]:
    return {name: value for name, value in item.columns.items() if name not in LINKED and value is not None}
