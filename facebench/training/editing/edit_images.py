"""Edits a set of face images and writes what the protocols `edit` and `expression-transfer` read."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facebench.core.errors import InputError
from facebench.images.decoding import ImageError, decode
from facebench.images.image_set import ImageSet, Item, read
from facebench.synthface.dataset import new_folder
from facebench.training.data.folders import square
from facebench.training.editing.autoencoder import Autoencoder, Codes
from facebench.training.editing.directions import Directions

Images = NDArray[np.uint8]
Progress = Callable[[str, int, int], None]
DESCRIBING = ("expression", "valence", "arousal")
CARRIED = ("identity", *DESCRIBING)
"""Columns of the input that say something about the source; they are written as `source_...`, identity as it is."""


@dataclass(frozen=True)
class Sources:
    """Images that could be read, at the size of the model."""

    items: tuple[Item, ...]
    images: Images
    skipped: tuple[str, ...]


def read_sources(path: Path, size: int) -> Sources:
    """Read a folder or manifest.

    Raises:
        InputError: no image can be read.
    """
    images = ImageSet.open(path)
    kept, pictures = [], []
    skipped = [f"{entry.name}: {entry.reason}" for entry in images.rejected]
    for item in images.items:
        try:
            pictures.append(square(decode(read(item), item.name), size))
        except ImageError as error:
            skipped.append(str(error))
            continue
        kept.append(item)
    if not kept:
        raise InputError(f"{path}: no image can be read; the first: {skipped[0]}.")
    return Sources(tuple(kept), np.stack(pictures), tuple(skipped))


def edit(
    sources: Sources,
    autoencoder: Autoencoder,
    directions: Directions,
    attribute: str,
    strengths: Sequence[float],
    out: Path,
    progress: Progress | None = None,
    targets: Sources | None = None,
) -> Path:
    """Edit every source at every strength.

    Args:
        sources: the faces.
        autoencoder: encodes and renders.
        directions: where to move.
        attribute: what to change, one of `directions.attributes`.
        strengths: how far; see `Directions.edit`.
        out: new folder: sources/ (as the model sees them), reconstructions/ (the model's own rendering without an
            edit), images/ (the edits) and manifest.csv.
        progress: called with (stage, done, in all).
        targets: what the edits should look like: images of the same names as the sources. They are written to
            targets/, and their expression, valence and arousal into the manifest.

    Returns:
        The manifest's path.

    Raises:
        InputError: no such attribute, no strength, a source without a target, or the folder is not empty.
    """
    if not strengths:
        raise InputError("Give at least one strength.")
    aims = None if targets is None else _of_same_names(targets, sources)
    folder = new_folder(out)
    names = unique_names(sources.items)
    stage = _stages(progress)
    if aims is not None:
        write_images(folder / "targets", names, aims.images)
    codes = autoencoder.encode(sources.images, stage("encoding"))
    write_images(folder / "sources", names, sources.images)
    write_images(folder / "reconstructions", names, autoencoder.render(codes, stage("reconstructing")))
    rows: list[dict[str, str]] = []
    for strength in strengths:
        moved = directions.edit(codes.z_sem, attribute, strength)
        made = autoencoder.render(Codes(moved, codes.x_T), stage(f"{attribute} {strength:g}"))
        edited = [f"{attribute}_{strength:+g}/{name}" for name in names]
        write_images(folder / "images", edited, made)
        rows += [
            {
                "image": f"images/{new}",
                "source": f"sources/{name}",
                "reconstruction": f"reconstructions/{name}",
                "attribute": attribute,
                "strength": f"{strength:g}",
                **_carried(item),
                **({} if aims is None else _aim(name, aims.items[row])),
            }
            for row, (new, name, item) in enumerate(zip(edited, names, sources.items, strict=True))
        ]
    return write_manifest(folder / "manifest.csv", rows)


def reconstruct(
    sources: Sources, autoencoder: Autoencoder, out: Path, progress: Progress | None = None
) -> Path:
    """Encode and render every source again; writes sources/, images/ and manifest.csv.

    Returns:
        The manifest's path.

    Raises:
        InputError: the folder is not empty.
    """
    folder = new_folder(out)
    names = unique_names(sources.items)
    stage = _stages(progress)
    made = autoencoder.render(autoencoder.encode(sources.images, stage("encoding")), stage("rendering"))
    write_images(folder / "sources", names, sources.images)
    write_images(folder / "images", names, made)
    rows = [
        {"image": f"images/{name}", "source": f"sources/{name}", **_carried(item)}
        for name, item in zip(names, sources.items, strict=True)
    ]
    return write_manifest(folder / "manifest.csv", rows)


def unique_names(items: Sequence[Item]) -> list[str]:
    """PNG names in the order of the items: their own, or numbers where two would collide."""
    own = [str(Path(item.name).with_suffix(".png")) for item in items]
    folded = [name.casefold() for name in own]
    safe = len(set(folded)) == len(own) and not any(".." in Path(name).parts for name in own)
    return own if safe else [f"{number:06d}.png" for number in range(len(own))]


def write_images(folder: Path, names: Sequence[str], images: Images) -> None:
    """Write images as PNG."""
    for name, image in zip(names, images, strict=True):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)


def write_manifest(path: Path, rows: Sequence[dict[str, str]]) -> Path:
    """Write rows under the union of their columns."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, columns, lineterminator="\n", restval="")
        table.writeheader()
        table.writerows(rows)
    return path


def _carried(item: Item) -> dict[str, str]:
    found = {name: item.columns[name] for name in CARRIED if item.columns.get(name)}
    return {name if name == "identity" else f"source_{name}": value for name, value in found.items()}


def _aim(name: str, target: Item) -> dict[str, str]:
    known = {column: target.columns[column] for column in DESCRIBING if target.columns.get(column)}
    return {"target": f"targets/{name}", **known}


def _of_same_names(targets: Sources, sources: Sources) -> Sources:
    """The targets in the order of the sources.

    Raises:
        InputError: a source has none.
    """
    place = {item.name: row for row, item in enumerate(targets.items)}
    missing = [item.name for item in sources.items if item.name not in place]
    if missing:
        raise InputError(
            f"There is no target for {missing[0]} (nor for {len(missing) - 1} other sources). Targets are images of "
            "the same names as the sources."
        )
    rows = [place[item.name] for item in sources.items]
    return Sources(tuple(targets.items[row] for row in rows), targets.images[rows], ())


def _stages(progress: Progress | None) -> Callable[[str], Callable[[int, int], None] | None]:
    def stage(name: str) -> Callable[[int, int], None] | None:
        return None if progress is None else lambda done, total: progress(name, done, total)

    return stage
