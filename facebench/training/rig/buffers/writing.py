"""`facebench buffers`: read the codes of every image, render its buffers, and store both."""

from __future__ import annotations

import csv
import hashlib
import io
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from facebench.core.errors import InputError
from facebench.core.files import atomic_write_text
from facebench.core.progress import Progress, no_progress
from facebench.images.image_set import ImageSet, Item
from facebench.training.rig.buffers.dataset import (
    HEADER,
    PART,
    About,
    BufferSet,
    Part,
    has_part,
    read_about,
    write_about,
    write_part,
)
from facebench.training.rig.buffers.extractors import Extractor, open_extractor
from facebench.training.rig.buffers.flame_codes import Codes, join, mean_shape, with_shape
from facebench.training.rig.buffers.images import encode, to_bytes
from facebench.training.rig.buffers.results import Found, NotFound

SMALLEST, LARGEST = 16, 1024


@dataclass(frozen=True)
class BufferConfig:
    """Options of a set of buffers.

    Attributes:
        source: name of the extractor, see `facebench.training.rig.buffers.extractors.EXTRACTORS`.
        size: pixels per side.
        album: whether the images show one person; all are then rendered with their mean shape.
    """

    source: str = "synthface"
    size: int = 64
    album: bool = False

    def __post_init__(self) -> None:
        if not SMALLEST <= self.size <= LARGEST:
            raise InputError(f"Buffers have {SMALLEST} to {LARGEST} pixels per side, not {self.size}.")


def write_buffers(
    images: str | Path,
    out: str | Path,
    *,
    device: str = "cpu",
    workers: int | None = None,
    progress: Progress = no_progress,
    **options: Any,
) -> BufferSet:
    """Write the physical buffers of a set of images; an interrupted run continues.

    Args:
        images: folder or manifest; the extractor "synthface" needs one that `facebench synth` wrote.
        out: folder of the buffers.
        device: device of the networks.
        workers: rendering threads; one per processor by default.
        progress: callback invoked after each part.
        **options: fields of `BufferConfig`.

    Returns:
        The set; images without a face are in `skipped`.

    Raises:
        InputError: `out` holds something else, the size is out of range, or no image shows a face.
        WeightsError: a file that the extractor needs is missing.
    """
    config = BufferConfig(**options)
    listed = ImageSet.open(images)
    extractor = open_extractor(config.source, device)
    folder = Path(out)
    about = _about(config, extractor, listed)
    _begin(folder, about)
    shape = _album_shape(extractor, listed, progress) if config.album else None
    with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
        for number in range(about.parts):
            items = listed.items[number * PART : (number + 1) * PART]
            if not has_part(folder, number):
                results = extractor.read(listed, items, config.size)
                rendered = pool.map(lambda one: _render(extractor, one, shape, config.size), results)
                write_part(folder, number, _part(items, results, list(rendered)))
            progress("drawing", number * PART + len(items), about.images)
    buffers = BufferSet(folder)
    _write_skipped(buffers)
    return buffers


def _about(config: BufferConfig, extractor: Extractor, images: ImageSet) -> About:
    return About(
        config.source,
        extractor.space.name,
        config.size,
        extractor.space.brightest,
        len(images.items),
        _digest(images.items),
        config.album,
        extractor.weights,
    )


def _digest(items: Sequence[Item]) -> str:
    """Digest of names and contents, so that a replaced image makes another set."""
    digest = hashlib.sha256()
    for item in items:
        digest.update(item.name.encode() + b"\0" + hashlib.sha256(item.path.read_bytes()).digest())
    return digest.hexdigest()


def _begin(folder: Path, about: About) -> None:
    """Start a set, or check that the folder holds an unfinished set with the same description."""
    if (folder / HEADER).is_file():
        old, new = asdict(read_about(folder)), asdict(about)
        changed = [name for name, value in new.items() if old[name] != value]
        if changed:
            raise InputError(
                f"{folder} holds other buffers ({'; '.join(f'{n}: {old[n]}' for n in changed)} there; "
                f"{'; '.join(f'{n}: {new[n]}' for n in changed)} here). Use another --out."
            )
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is not empty and holds no buffers; name a new folder.")
    folder.mkdir(parents=True, exist_ok=True)
    write_about(folder, about)


def _album_shape(extractor: Extractor, images: ImageSet, progress: Progress) -> Codes:
    """Mean shape of all images."""
    parts: list[Codes] = []
    for start in range(0, len(images.items), PART):
        results = extractor.read(images, images.items[start : start + PART], SMALLEST)
        parts += [one.codes for one in results if isinstance(one, Found)]
        progress("mean shape", min(start + PART, len(images.items)), len(images.items))
    if not parts:
        raise InputError(f"No face was found in any of the {len(images.items)} images of {images.root}.")
    return mean_shape(join(parts), extractor.space)


def _render(
    extractor: Extractor, result: Found | NotFound, shape: Codes | None, size: int
) -> tuple[bytes, Codes] | None:
    """Encoded photo and buffers of one image with its codes; None for an image without codes."""
    if isinstance(result, NotFound):
        return None
    space = extractor.space
    codes = result.codes if shape is None else with_shape(result.codes, shape)
    return encode(result.photo, to_bytes(space.draw(codes, size), space.brightest)), codes


def _part(
    items: Sequence[Item],
    results: Sequence[Found | NotFound],
    rendered: Sequence[tuple[bytes, Codes] | None],
) -> Part:
    kept = [(item, one) for item, one in zip(items, rendered, strict=True) if one is not None]
    skipped = [
        (item.name, one.reason, one.detail)
        for item, one in zip(items, results, strict=True)
        if isinstance(one, NotFound)
    ]
    codes = [codes for _, (_, codes) in kept]
    return Part(
        [item.name for item, _ in kept],
        [encoded for _, (encoded, _) in kept],
        join(codes) if codes else None,
        skipped,
    )


def _write_skipped(buffers: BufferSet) -> None:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("image", "reason", "detail"))
    table.writerows(buffers.skipped)
    atomic_write_text(buffers.folder / "skipped.csv", text.getvalue())
