"""Aligns a folder of photographs as FFHQ does, and keeps what is known of them."""

from __future__ import annotations

from pathlib import Path

from facebench.backbones import detector
from facebench.backbones.ffhq_alignment import align_ffhq
from facebench.core.progress import Progress, no_progress
from facebench.evaluation.inputs import LINKED
from facebench.images.decoding import ImageError, decode
from facebench.images.image_set import ImageSet, Item, read
from facebench.synthface.dataset import new_folder
from facebench.training.editing.edit_images import unique_names, write_images, write_manifest


def align_images(
    images: Path,
    out: Path,
    size: int,
    progress: Progress = no_progress,
    *,
    face_detector: str = "yunet",
    jpeg: int | None = None,
) -> tuple[int, list[str]]:
    """Crop and align the most prominent face of every image.

    Manifest columns of the images are kept, except links to other images, which are not aligned here.

    Args:
        images: folder or manifest.
        out: new folder; the results have the names of the images with the suffix .png. If names would repeat, the
            results are numbered, and the column `original` of the manifest holds the names of the images.
        size: width and height of the results.
        progress: callback invoked after each image.
        face_detector: "yunet" or "mtcnn".
        jpeg: quality of JPEG files, with the suffix .jpg; None for PNG.

    Returns:
        The number of aligned faces, and the reasons why the remaining images were skipped.

    Raises:
        InputError: the images do not exist, or the folder is not empty.
    """
    image_set = ImageSet.open(images)
    folder, finder = new_folder(out), detector(face_detector)
    skipped = [f"{entry.name}: {entry.reason}" for entry in image_set.rejected]
    rows = []
    names = unique_names(image_set.items)
    names = names if jpeg is None else [str(Path(name).with_suffix(".jpg")) for name in names]
    for number, (item, name) in enumerate(zip(image_set.items, names, strict=True), start=1):
        try:
            pixels = decode(read(item), item.name)
        except ImageError as error:
            skipped.append(str(error))
            continue
        face = finder.find(pixels)
        if face is None:
            skipped.append(f"{item.name}: no face was detected")
            continue
        write_images(folder, [name], align_ffhq(pixels, face.landmarks, size)[None], jpeg)
        is_renamed = Path(name).with_suffix("") != Path(item.name).with_suffix("")
        original = {"original": item.name} if is_renamed else {}
        rows.append({"image": name, **_unlinked_columns(item), **original})
        progress("aligning", number, len(image_set))
    if any(len(row) > 1 for row in rows):
        write_manifest(folder / "manifest.csv", rows)
    return len(rows), skipped


def _unlinked_columns(item: Item) -> dict[str, str]:
    return {name: value for name, value in item.columns.items() if name not in LINKED and value is not None}
