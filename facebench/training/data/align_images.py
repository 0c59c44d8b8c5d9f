"""Aligns a folder of photographs as FFHQ does, and keeps what is known of them."""

from __future__ import annotations

from pathlib import Path

from facebench.backbones.face_detection import FaceFinder
from facebench.backbones.ffhq_alignment import align_ffhq
from facebench.evaluation.inputs import LINKED
from facebench.images.decoding import ImageError, decode
from facebench.images.image_set import ImageSet, Item, read
from facebench.synthface.dataset import new_folder
from facebench.training.editing.autoencoder import Progress
from facebench.training.editing.edit_images import unique_names, write_images, write_manifest


def align_images(
    images: Path, out: Path, size: int, progress: Progress | None = None
) -> tuple[int, list[str]]:
    """Cut the most prominent face out of every image.

    What a manifest says of the images goes into a manifest of the results, except the names of other images, which
    would have to be aligned themselves.

    Args:
        images: folder or manifest.
        out: new folder; the results have the names of the images, and end in .png.
        size: side of the results.
        progress: told of every image.

    Returns:
        How many were aligned, and why others were not.

    Raises:
        InputError: no such images, or the folder is not empty.
    """
    listed = ImageSet.open(images)
    folder, finder = new_folder(out), FaceFinder()
    skipped = [f"{entry.name}: {entry.reason}" for entry in listed.rejected]
    rows = []
    for number, (item, name) in enumerate(
        zip(listed.items, unique_names(listed.items), strict=True), start=1
    ):
        try:
            picture = decode(read(item), item.name)
        except ImageError as error:
            skipped.append(str(error))
            continue
        face = finder.find(picture)
        if face is None:
            skipped.append(f"{item.name}: no face was found")
            continue
        write_images(folder, [name], align_ffhq(picture, face.landmarks, size)[None])
        rows.append({"image": name, **_known(item)})
        if progress is not None:
            progress(number, len(listed))
    if any(len(row) > 1 for row in rows):
        write_manifest(folder / "manifest.csv", rows)
    return len(rows), skipped


def _known(item: Item) -> dict[str, str]:
    return {name: value for name, value in item.columns.items() if name not in LINKED and value is not None}
