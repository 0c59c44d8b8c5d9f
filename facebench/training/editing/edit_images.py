"""Edit a set of face images and write the input of the protocols `edit` and `expression-transfer`."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facebench.core.errors import InputError
from facebench.core.files import atomic_write_text
from facebench.core.progress import Progress, no_progress
from facebench.images.decoding import ImageError, decode
from facebench.images.image_set import ImageSet, Item, read
from facebench.synthface.dataset import new_folder
from facebench.training.data.folders import square
from facebench.training.editing.autoencoder import Autoencoder, Latents
from facebench.training.editing.directions import Directions

Images = NDArray[np.uint8]

TARGET_COLUMNS = ("expression", "valence", "arousal")
"""Columns of the target that the manifest copies."""
SOURCE_COLUMNS = ("identity", *TARGET_COLUMNS)
"""Columns of the source that the manifest copies, as `identity` and as `source_...`."""


@dataclass(frozen=True)
class Sources:
    """Readable images of a set, at the size of the model.

    Attributes:
        items: files and columns of the images.
        images: (n, s, s, 3) uint8 RGB.
        skipped: one message per unreadable image.
    """

    items: tuple[Item, ...]
    images: Images
    skipped: tuple[str, ...]


@dataclass(frozen=True)
class Editor:
    """An edit of one attribute.

    Attributes:
        autoencoder: encodes and renders faces.
        directions: editing directions in z_sem.
        attribute: attribute to change, one of `directions.attributes`.
    """

    autoencoder: Autoencoder
    directions: Directions
    attribute: str

    def check(self) -> None:
        """Check that the directions have the attribute and belong to the codes of the autoencoder.

        Raises:
            InputError: they do not.
        """
        self.directions.edit(self.directions.statistics.mean[None], self.attribute, 0.0)
        codes, directions = self.autoencoder.code_channels, len(self.directions.statistics.mean)
        if codes != directions:
            raise InputError(
                f"The directions are for codes of {directions} numbers, this autoencoder has codes of {codes}. "
                "Give the directions that were fitted on it with --directions."
            )

    def edit(self, images: Images, latents: Latents, strength: float) -> Images:
        """Render images with their latents moved along the direction; strength 0 returns the images unchanged.

        Args:
            images: (n, s, s, 3) unedited images.
            latents: latents of the images.
            strength: signed length of the edit, see `Directions.edit`.
        """
        moved = self.directions.edit(latents.z_sem, self.attribute, strength)
        if strength == 0:
            return images
        return self.autoencoder.render(Latents(moved, latents.x_T))


def read_sources(path: Path, size: int) -> Sources:
    """Read a folder or manifest, and resize the middle square of every image.

    Raises:
        InputError: no image can be read.
    """
    listed = ImageSet.open(path)
    items, images = [], []
    skipped = [f"{entry.name}: {entry.reason}" for entry in listed.rejected]
    for item in listed.items:
        try:
            images.append(square(decode(read(item), item.name), size))
        except ImageError as error:
            skipped.append(str(error))
            continue
        items.append(item)
    if not items:
        raise InputError(f"{path}: no image can be read; the first: {skipped[0]}.")
    return Sources(tuple(items), np.stack(images), tuple(skipped))


def write_edits(
    sources: Sources,
    editor: Editor,
    strengths: Sequence[float],
    out: Path,
    *,
    targets: Sources | None = None,
    progress: Progress = no_progress,
) -> Path:
    """Edit every source at every strength.

    `out` receives sources/ (resized inputs), reconstructions/ (encoded and rendered without an edit), images/ (edits)
    and manifest.csv. An edit of strength 0 has the pixels of its source, not of the reconstruction. Faces are edited
    batch by batch; after each batch its images are written and the manifest lists them.

    Args:
        sources: faces to edit.
        editor: model, directions and attribute.
        strengths: signed lengths of the edits, see `Directions.edit`.
        out: new or empty folder.
        targets: images that the edits should look like, with the names of the sources; they are written to targets/.
        progress: callback invoked after each batch of each strength, with the number of edits.

    Returns:
        Path of the manifest.

    Raises:
        InputError: unknown attribute, no strength, a source without a target, or a folder that is not empty.
    """
    if not strengths:
        raise InputError("Give at least one strength.")
    editor.check()
    matched = None if targets is None else _match_targets(targets, sources)
    folder = new_folder(out)
    names = unique_names(sources.items)
    if matched is not None:
        write_images(folder / "targets", names, matched.images)
    done, total = 0, len(names) * len(strengths)
    for start in range(0, len(names), editor.autoencoder.batch):
        batch = slice(start, start + editor.autoencoder.batch)
        for edited in _edit_batch(folder, names[batch], sources.images[batch], editor, strengths):
            done += edited
            progress("editing", done, total)
        rows = _rows(names[: batch.stop], sources, matched, editor, strengths)
        write_manifest(folder / "manifest.csv", rows)
    return folder / "manifest.csv"


def _edit_batch(
    folder: Path, names: Sequence[str], images: Images, editor: Editor, strengths: Sequence[float]
) -> Iterator[int]:
    """Write sources, reconstructions and edits of a few faces; yield the number of edits after each strength."""
    latents = editor.autoencoder.encode(images)
    write_images(folder / "sources", names, images)
    write_images(folder / "reconstructions", names, editor.autoencoder.render(latents))
    for strength in strengths:
        edits = editor.edit(images, latents, strength)
        write_images(folder / "images", [_edit_name(editor, strength, name) for name in names], edits)
        yield len(edits)


def reconstruct(
    sources: Sources, autoencoder: Autoencoder, out: Path, progress: Progress = no_progress
) -> Path:
    """Encode and render every source without an edit; write sources/, images/ and manifest.csv.

    Returns:
        Path of the manifest.

    Raises:
        InputError: the folder is not empty.
    """
    folder = new_folder(out)
    names = unique_names(sources.items)
    reconstructions = autoencoder.render(autoencoder.encode(sources.images, progress), progress)
    write_images(folder / "sources", names, sources.images)
    write_images(folder / "images", names, reconstructions)
    rows = [
        {"image": f"images/{name}", "source": f"sources/{name}", **_source_columns(item)}
        for name, item in zip(names, sources.items, strict=True)
    ]
    return write_manifest(folder / "manifest.csv", rows)


def unique_names(items: Sequence[Item]) -> list[str]:
    """PNG names in the order of the items; numbers when two names would collide or leave the folder."""
    names = [str(Path(item.name).with_suffix(".png")) for item in items]
    distinct = len({name.casefold() for name in names}) == len(names)
    inside = not any(".." in Path(name).parts for name in names)
    return names if distinct and inside else [f"{number:06d}.png" for number in range(len(names))]


def write_images(folder: Path, names: Sequence[str], images: Images, jpeg: int | None = None) -> None:
    """Write images as PNG, or as JPEG of the quality `jpeg`."""
    for name, image in zip(names, images, strict=True):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if jpeg is None:
            Image.fromarray(image).save(path)
        else:
            Image.fromarray(image).save(path, "JPEG", quality=jpeg)


def write_manifest(path: Path, rows: Sequence[dict[str, str]]) -> Path:
    """Write rows as CSV under the union of their columns."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    table = csv.DictWriter(text, columns, lineterminator="\n", restval="")
    table.writeheader()
    table.writerows(rows)
    atomic_write_text(path, text.getvalue())
    return path


def _edit_name(editor: Editor, strength: float, name: str) -> str:
    return f"{editor.attribute}_{strength:+g}/{name}"


def _rows(
    names: Sequence[str],
    sources: Sources,
    targets: Sources | None,
    editor: Editor,
    strengths: Sequence[float],
) -> list[dict[str, str]]:
    """One manifest row per edit of the named faces, which are the first of the sources."""
    return [
        {
            "image": f"images/{_edit_name(editor, strength, name)}",
            "source": f"sources/{name}",
            "reconstruction": f"reconstructions/{name}",
            "attribute": editor.attribute,
            "strength": f"{strength:g}",
            **_source_columns(source),
            **({} if targets is None else _target_columns(name, targets.items[row])),
        }
        for strength in strengths
        for row, (name, source) in enumerate(zip(names, sources.items, strict=False))
    ]


def _source_columns(source: Item) -> dict[str, str]:
    columns = {name: source.columns[name] for name in SOURCE_COLUMNS if source.columns.get(name)}
    return {name if name == "identity" else f"source_{name}": value for name, value in columns.items()}


def _target_columns(name: str, target: Item) -> dict[str, str]:
    columns = {column: target.columns[column] for column in TARGET_COLUMNS if target.columns.get(column)}
    return {"target": f"targets/{name}", **columns}


def _match_targets(targets: Sources, sources: Sources) -> Sources:
    """Select the targets with the names of the sources, in the order of the sources.

    Raises:
        InputError: a source has no target.
    """
    row_of = {item.name: row for row, item in enumerate(targets.items)}
    missing = [item.name for item in sources.items if item.name not in row_of]
    if missing:
        raise InputError(
            f"{len(missing)} sources have no target, such as {missing[0]}. Targets are images of "
            "the same names as the sources."
        )
    rows = [row_of[item.name] for item in sources.items]
    return Sources(tuple(targets.items[row] for row in rows), targets.images[rows], ())
