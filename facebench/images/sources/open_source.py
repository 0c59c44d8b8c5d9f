"""Recognise archives, databases, tables, videos and lists of images by their names, and list their images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from facebench.images.attributes import checked_attributes
from facebench.images.errors import Reason
from facebench.images.listing import Item, Rejected
from facebench.images.manifest import Row, read_manifest
from facebench.images.sources import lmdb, npz, path_list, tar, video
from facebench.images.sources import zip as zip_files
from facebench.images.sources.archive import Kind, MemberListing, list_images, manifest_in, merged, visible
from facebench.images.sources.content import Content, Members
from facebench.images.sources.lmdb import is_database

SUFFIXES: dict[str, Kind] = {
    ".zip": "zip",
    ".tar": "tar",
    ".npz": "npz",
    ".parquet": "parquet",
    ".lmdb": "lmdb",
    path_list.SUFFIX: "list",
    **dict.fromkeys(video.SUFFIXES, "video"),
}
_SHARDS: tuple[Kind, ...] = ("tar", "parquet", "video")
"""Formats of which a folder may hold several files."""
_TEXTS = (".md", ".txt", ".json")
"""Suffixes of files that may lie beside shards."""


@dataclass(frozen=True)
class Listed:
    """Images of a source."""

    kind: Kind
    items: tuple[Item, ...]
    rejected: tuple[Rejected, ...] = ()
    warnings: tuple[str, ...] = ()
    members: Mapping[str, Content] = field(default_factory=dict)
    """All members, including those that no item uses."""


def files_of(path: Path) -> tuple[Kind, list[Path]] | None:
    """Return the format of a source and its files; None for folders of images and for manifests.

    A folder that holds only TAR or only Parquet files, apart from hidden files and text, is a set of shards.
    """
    from facebench.images.sources import hf_dataset, parquet

    if is_database(path):
        return "lmdb", [path]
    if not path.is_dir():
        kind = SUFFIXES.get(path.suffix.lower())
        if kind is None or (kind == "parquet" and parquet.image_column(path) is None):
            return None
        return kind, [path]
    if hf_dataset.is_dataset(path):
        return "dataset", [hf_dataset.dataset_folder(path)]
    files = sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))
    for kind in _SHARDS:
        shards = [file for file in files if SUFFIXES.get(file.suffix.lower()) == kind]
        rest = [file for file in files if file not in shards and file.suffix.lower() not in _TEXTS]
        if shards and not rest and (kind != "parquet" or parquet.image_column(shards[0])):
            return kind, shards
    return None


def open_source(path: Path, kind: Kind, files: Sequence[Path], identities: bool | None) -> Listed:
    """List the images of a source, sorted by name.

    Raises:
        InputError: a file is damaged or has another layout.
    """
    if kind in _WITH_COLUMNS:
        return _checked(path, kind, _WITH_COLUMNS[kind](files))
    if kind == "list":
        return _from_list(path)
    read = zip_files.members_of if kind == "zip" else tar.members_of
    return _from_archive(path, kind, merged({file: visible(file, read(file)) for file in files}), identities)


def _from_archive(path: Path, kind: Kind, members: Members, identities: bool | None) -> Listed:
    found = manifest_in(path, members)
    warnings: tuple[str, ...] = ()
    if found is None:
        listing = list_images(path, members, identities)
        warnings = _check_columns(path, listing)
    else:
        listing = MemberListing(path, members.contents)
        warnings = _add_rows(listing, path / found[0], found[1], identities)
    for name, reason, detail in members.rejected:
        listing.reject(name, cast("Reason", reason), detail)
    return Listed(kind, listing.items(), tuple(listing.rejected), warnings, members.contents)


def _add_rows(listing: MemberListing, file: Path, data: bytes, identities: bool | None) -> tuple[str, ...]:
    """Add the images that a manifest in the archive names; return its warnings."""
    rows, warnings = checked_attributes(read_manifest(file, data), file)
    for row in rows:
        columns = {name: value for name, value in row.columns.items() if name != "image"}
        if identities is False:
            columns.pop("identity", None)
        where = f"{file.name} line {row.line}"
        if "image" in row.columns:
            listing.add_named(row.columns["image"], columns, where)
        else:
            listing.reject(where, "missing", "the row names no image")
    return warnings


def _check_columns(path: Path, listing: MemberListing) -> tuple[str, ...]:
    """Check identity, valence and arousal of the listed images; return the warnings."""
    items = listing.items()
    rows, warnings = checked_attributes(
        [Row(i + 1, dict(item.columns)) for i, item in enumerate(items)], path
    )
    for item, row in zip(items, rows, strict=True):
        listing.set_columns(item, row.columns)
    return warnings


def _from_list(path: Path) -> Listed:
    listing = path_list.list_paths(path_list.read_list(path))
    return Listed("list", listing.items(), tuple(listing.rejected))


def _from_npz(files: Sequence[Path]) -> list[Item]:
    path = files[0]
    layout, labels = npz.read_npz(path)
    return [
        Item(path, f"{i:06d}.ppm", {} if labels is None else {"label": labels[i]}, npz.NpzImage(layout, i))
        for i in range(layout.count)
    ]


def _from_parquet(files: Sequence[Path]) -> list[Item]:
    from facebench.images.sources import parquet

    tables = {file: parquet.read_rows(file) for file in files}
    counts = Counter(row.name for rows in tables.values() for row in rows)
    repeated = any(count > 1 for count in counts.values())
    return [
        Item(file, f"{file.stem}/{row.name}" if repeated else row.name, row.columns, row.content)
        for file, rows in tables.items()
        for row in rows
    ]


def _from_lmdb(files: Sequence[Path]) -> list[Item]:
    return [Item(files[0], name, {}, image) for name, image in lmdb.images_of(files[0]).items()]


def _from_dataset(files: Sequence[Path]) -> list[Item]:
    from facebench.images.sources import hf_dataset

    return [Item(files[0], name, columns, image) for name, image, columns in hf_dataset.rows_of(files[0])]


def _from_videos(files: Sequence[Path]) -> list[Item]:
    """Frames of all files; names begin with the name of the file if there are several."""
    return [
        Item(file, f"{f'{file.name}/' if len(files) > 1 else ''}{i:06d}.ppm", columns, frame)
        for file in files
        for i, (frame, columns) in enumerate(video.frames_of(file))
    ]


_WITH_COLUMNS: dict[Kind, Callable[[Sequence[Path]], list[Item]]] = {
    "npz": _from_npz,
    "parquet": _from_parquet,
    "lmdb": _from_lmdb,
    "dataset": _from_dataset,
    "video": _from_videos,
}
"""Sources that are no archives of files, and the function that lists their images."""


def _checked(path: Path, kind: Kind, items: list[Item]) -> Listed:
    """Sort the images and check identity, valence and arousal."""
    items.sort(key=lambda item: item.name)
    checked, warnings = checked_attributes(
        [Row(i + 1, dict(item.columns)) for i, item in enumerate(items)], path
    )
    kept = tuple(
        Item(item.path, item.name, row.columns, item.content)
        for item, row in zip(items, checked, strict=True)
    )
    return Listed(kind, kept, warnings=warnings, members=_contents(kept))


def _contents(items: Sequence[Item]) -> dict[str, Content]:
    return {item.name: item.content for item in items if item.content is not None}
