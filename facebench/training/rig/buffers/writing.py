"""`facebench buffers`: read the codes of every image, draw its buffers, keep both."""

from __future__ import annotations

import csv
import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from facebench.core.errors import InputError
from facebench.images.image_set import ImageSet, Item
from facebench.training.rig.buffers.dataset import (
    PART,
    About,
    BufferSet,
    Part,
    has_part,
    read_about,
    write_about,
    write_part,
)
from facebench.training.rig.buffers.extractors import Extractor, Found, NotFound, open_extractor
from facebench.training.rig.buffers.flame_codes import Codes, join, mean_shape, with_shape
from facebench.training.rig.buffers.images import encode, to_bytes

Progress = Callable[[str, int, int], None]
SMALLEST, LARGEST = 16, 1024


def write_buffers(
    images: str | Path,
    out: str | Path,
    *,
    source: str = "synthface",
    size: int = 64,
    album: bool = False,
    device: str = "cpu",
    workers: int | None = None,
    progress: Progress | None = None,
) -> BufferSet:
    """Write the physical buffers of a set of images; a run that was stopped goes on where it was.

    Args:
        images: a folder or manifest; for the exact source one that `facebench synth` wrote.
        out: folder of the buffers.
        source: extractor, see `facebench.training.rig.buffers.extractors.EXTRACTORS`.
        size: pixels per side.
        album: the images show one person: all are drawn with the mean of their shapes.
        device: of the networks.
        workers: threads that draw, by default one per processor.
        progress: called with the stage, the images done and all.

    Returns:
        The set; images without a face are in `skipped`.

    Raises:
        InputError: `out` holds buffers of something else, a size out of range, no face in any image.
        WeightsError: the source's files are missing.
    """
    if not SMALLEST <= size <= LARGEST:
        raise InputError(f"Buffers have {SMALLEST} to {LARGEST} pixels per side, not {size}.")
    listed = ImageSet.open(images)
    extractor = open_extractor(source, device)
    folder = Path(out)
    about = About(
        source,
        extractor.space.name,
        size,
        extractor.space.brightest,
        len(listed.items),
        _digest(listed.items),
        album,
        extractor.weights,
    )
    _begin(folder, about)
    tell = progress or (lambda *_: None)
    shape = _shape_of(extractor, listed, tell) if album else None
    with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
        for number in range(about.parts):
            items = listed.items[number * PART : (number + 1) * PART]
            if not has_part(folder, number):
                found = extractor.read(listed, items, size)
                write_part(folder, number, _part(extractor, items, found, shape, size, pool))
            tell("drawing", number * PART + len(items), about.images)
    made = BufferSet(folder)
    _list_skipped(made)
    return made


def _list_skipped(made: BufferSet) -> None:
    with (made.folder / "skipped.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("image", "reason", "detail"))
        table.writerows(made.skipped)


def _begin(folder: Path, about: About) -> None:
    """Begin a set, or make sure that the one in the folder is the same."""
    if (folder / "buffers.json").is_file():
        before = asdict(read_about(folder))
        changed = [name for name, value in asdict(about).items() if before[name] != value]
        if changed:
            raise InputError(
                f"{folder} holds other buffers ({'; '.join(f'{n}: {before[n]}' for n in changed)} there; "
                f"{'; '.join(f'{n}: {asdict(about)[n]}' for n in changed)} here). Use another --out."
            )
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} holds something else already; name a new folder.")
    folder.mkdir(parents=True, exist_ok=True)
    write_about(folder, about)


def _digest(items: Sequence[Item]) -> str:
    """Of names and bytes: an image that was replaced makes another set."""
    digest = hashlib.sha256()
    for item in items:
        digest.update(item.name.encode() + b"\0" + hashlib.sha256(item.path.read_bytes()).digest())
    return digest.hexdigest()


def _shape_of(extractor: Extractor, images: ImageSet, tell: Progress) -> Codes:
    """The mean shape of an album."""
    parts: list[Codes] = []
    for start in range(0, len(images.items), PART):
        read = extractor.read(images, images.items[start : start + PART], SMALLEST)
        parts += [one.codes for one in read if isinstance(one, Found)]
        tell("mean shape", min(start + PART, len(images.items)), len(images.items))
    if not parts:
        raise InputError(f"No face was found in any of the {len(images.items)} images of {images.root}.")
    return mean_shape(join(parts), extractor.space)


def _part(
    extractor: Extractor,
    items: Sequence[Item],
    found: Sequence[Found | NotFound],
    shape: Codes | None,
    size: int,
    pool: ThreadPoolExecutor,
) -> Part:
    space = extractor.space

    def drawn(one: Found) -> tuple[bytes, Codes]:
        codes = one.codes if shape is None else with_shape(one.codes, shape)
        return encode(one.photo, to_bytes(space.draw(codes, size), space.brightest)), codes

    pairs = list(zip(items, found, strict=True))
    kept = [(item, one) for item, one in pairs if isinstance(one, Found)]
    done = list(pool.map(drawn, [one for _, one in kept]))
    return Part(
        [item.name for item, _ in kept],
        [picture for picture, _ in done],
        join([codes for _, codes in done]) if done else None,
        [(item.name, one.reason, one.detail) for item, one in pairs if isinstance(one, NotFound)],
    )
