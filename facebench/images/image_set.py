"""Image sets: a folder, a folder of identity folders, a manifest or an archive becomes an ordered list of items.

Listing reads no pixels. Every file that is not used is rejected with a reason, except hidden and system files, which
are skipped. docs/images.md documents the policy.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from facebench.core.errors import InputError
from facebench.core.suggest import close_names, suggest
from facebench.images.attributes import checked_attributes
from facebench.images.decoding import (
    DEFAULT_LIMITS,
    Decoded,
    Image,
    ImageError,
    Limits,
    Reason,
    decode,
    decode_with_notes,
)
from facebench.images.listing import SUFFIXES, Item, Listing, Rejected, files_below, has_suffix
from facebench.images.manifest import SUFFIXES as MANIFEST_SUFFIXES
from facebench.images.manifest import read_manifest
from facebench.images.named_roots import Roots
from facebench.images.names import twins
from facebench.images.people_folders import folder_of_people
from facebench.images.sources.archive import Kind as SourceKind
from facebench.images.sources.archive import MemberListing
from facebench.images.sources.content import Content
from facebench.images.sources.open_source import SUFFIXES as SOURCE_SUFFIXES
from facebench.images.sources.open_source import files_of, open_source
from facebench.images.sources.path_list import list_paths

Kind = Literal["folder", "identities", "manifest"] | SourceKind


@dataclass(frozen=True)
class ImageSet:
    """Ordered image files, and the files that cannot be used."""

    root: Path
    kind: Kind
    items: tuple[Item, ...]
    rejected: tuple[Rejected, ...] = ()
    warnings: tuple[str, ...] = ()
    """Problems of the manifest that do not prevent its use."""
    roots: Roots = field(default_factory=dict)
    """Named folders outside the folder of the manifest."""
    members: Mapping[str, Content] = field(default_factory=dict)
    """All members of an archive, including those that no item uses."""
    partners: Mapping[str, ImageSet] = field(default_factory=dict)
    """By column, another set whose images the column names; see `partner_sets`."""

    @classmethod
    def open(
        cls, path: str | Path, *, identities: bool | None = None, roots: Roots | None = None
    ) -> ImageSet:
        """List the images of a folder or manifest, sorted by name, each file once.

        A folder that holds `manifest.csv`, `manifest.tsv` or `manifest.parquet` is read through it. Otherwise, images
        in the folder form a flat set. If there are none, the sub-folders one level down are identities.

        ZIP and TAR archives are read like folders, and never unpacked: by the manifest in them, by the labels of
        `dataset.json` (StyleGAN), by the files beside the images (WebDataset), or by the rule above. NPZ files hold
        images as uint8 (n, h, w, 3), Parquet files and saved datasets hold them as bytes (Hugging Face), LMDB
        databases too. Frames of videos are images with the columns `clip`, `frame` and `time`. A folder of TAR or
        Parquet files or videos is one set, and a text file names one image in each line. docs/images.md describes the
        layouts.

        Args:
            path: a folder, a manifest ending in .csv, .tsv or .parquet, an archive, a database, a video, or a list of
                paths.
            identities: None applies the rule above. True requires that sub-folders (or the column `identity` of the
                manifest) are identities. False reads sub-folders at every depth as one flat set.
            roots: named folders elsewhere, whose files a manifest names as `@NAME/path`.

        Returns:
            A set with at least one item. The files exist; `decode` determines whether they hold images.

        Raises:
            InputError: the folder does not exist or holds no image, the manifest is damaged, or two identities differ
                only in letter case, Unicode form or spaces.

        Example:
            >>> images = ImageSet.open("tests/goldens/images")
            >>> images.kind, len(images), images.items[0].name, images.column("identity")[0]
            ('identities', 64, 'a/id000_angry.png', 'a')
        """
        path = Path(os.path.normpath(Path(path).absolute()))
        if not _exists(path):
            raise InputError(f"There is nothing at {path}.{_similar_neighbour(path)}")
        images = _opened(path, identities, roots or {})
        if not images.items:
            raise InputError(_why_empty(path, images.rejected))
        _check_identities(images)
        return images

    @classmethod
    def of_paths(cls, paths: Sequence[str | os.PathLike[str]]) -> ImageSet:
        """List image files; names are relative to the deepest folder that holds them all.

        Raises:
            InputError: the list holds no path, or no file exists.

        Example:
            >>> ImageSet.of_paths(["tests/goldens/images/a/id000_angry.png"]).items[0].name
            'id000_angry.png'
        """
        listing = list_paths(paths)
        images = cls(listing.root, "list", listing.items(), tuple(listing.rejected))
        if not images.items:
            raise InputError(_why_empty(listing.root, images.rejected))
        return images

    def __len__(self) -> int:
        return len(self.items)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns of any item, sorted."""
        return tuple(sorted({name for item in self.items for name in item.columns}))

    def column(self, name: str) -> list[str | None]:
        """Return the value of a column for each item; None for items without it."""
        return [item.columns.get(name) for item in self.items]

    def linked(self, column: str) -> tuple[ImageSet, list[int | None]]:
        """Open the files named by a column, such as `source` or `target`.

        Paths are relative to the manifest. Unlike `image`, they may also lie beside its folder, one level up
        (`../photographs/a.png`).

        Returns:
            The set of files that the column names, each once and sorted by name; and, for each item of this set, the
            index of its file there, or None if it has no usable file.

        Raises:
            InputError: no item has the column.
        """
        if column not in self.columns:
            raise InputError(f"{self.root} has no column '{column}'. {suggest(column, self.columns)}")
        if column in self.partners:
            return self._linked_partners(column)
        listing = self._listing_of_links()
        paths = [text or "" for text in self.column(column)]
        where = f"column '{column}'"
        names = {text: listing.add_named(text, {}, where) for text in sorted({*paths} - {""})}
        known = {item.name: item for item in self.items}
        items = tuple(known.get(item.name, item) for item in listing.items())
        index = {item.name: position for position, item in enumerate(items)}
        # Several spellings of a path are not a problem: the index refers to one file.
        rejected = tuple(entry for entry in listing.rejected if entry.reason != "duplicate")
        linked = [names.get(text) for text in paths]
        positions = [None if name is None else index[name] for name in linked]
        linked_set = replace(self, items=items, rejected=rejected, warnings=())
        return linked_set, positions

    def _linked_partners(self, column: str) -> tuple[ImageSet, list[int | None]]:
        named, partners = set(self.column(column)), self.partners[column]
        items = tuple(item for item in partners.items if item.name in named)
        index = {item.name: position for position, item in enumerate(items)}
        return replace(partners, items=items), [index.get(name or "") for name in self.column(column)]

    def _listing_of_links(self) -> Listing | MemberListing:
        if self.members:
            return MemberListing(self.root, self.members)
        return Listing(self.root, beside=True, roots=self.roots)


def read(item: Item, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """Read the file of an item.

    Raises:
        ImageError: with the reason missing, unreadable, empty, truncated or too_large.
    """
    if item.content is not None:
        return item.content.read(item.name, limits.max_bytes)
    try:
        if item.path.stat().st_size > limits.max_bytes:
            raise ImageError("too_large", f"more than {limits.max_bytes} bytes", item.name)
        data = item.path.read_bytes()
    except FileNotFoundError as error:
        raise ImageError("missing", "the file was removed", item.name) from error
    except OSError as error:
        raise ImageError("unreadable", error.strerror or str(error), item.name) from error
    if not data:
        raise ImageError("empty", "the file has no bytes", item.name)
    return data


def _opened(path: Path, identities: bool | None, roots: Roots) -> ImageSet:
    source = files_of(path)
    if source is not None:
        return _from_source(path, *source, identities)
    manifest = _manifest_of(path)
    return _from_folder(path, identities) if manifest is None else _from_manifest(manifest, identities, roots)


def _from_source(path: Path, kind: SourceKind, files: Sequence[Path], identities: bool | None) -> ImageSet:
    listed = open_source(path, kind, files, identities)
    root = _root_of_list(path, listed.items) if kind == "list" else path
    images = ImageSet(root, kind, listed.items, listed.rejected, listed.warnings, members=listed.members)
    if identities and images.items and "identity" not in images.columns:
        raise InputError(f"{path} has no column 'identity'. Add it, or leave out the identities option.")
    return images


def _root_of_list(path: Path, items: Sequence[Item]) -> Path:
    """Return the folder to which the names of listed files are relative."""
    return path.parent if not items else items[0].path.parents[items[0].name.count("/")]


def _from_folder(root: Path, identities: bool | None) -> ImageSet:
    """List a folder by the rule of `ImageSet.open`."""
    listing = Listing(root)
    if identities is False:
        for name in files_below(root, listing, levels=None):
            listing.add_file(name)
        return ImageSet(root, "folder", listing.items(), tuple(listing.rejected))
    in_root = list(files_below(root, Listing(root), levels=0))
    flat = identities is None and any(has_suffix(name, SUFFIXES) for name in in_root)
    for name in files_below(root, listing, levels=0 if flat else 1):
        if flat:
            listing.add_file(name)
        elif "/" in name:
            listing.add_file(name, {"identity": name.partition("/")[0]})
        else:
            listing.reject(name, "other_file", "lies outside the identity folders")
    return ImageSet(root, "folder" if flat else "identities", listing.items(), tuple(listing.rejected))


def _from_manifest(path: Path, identities: bool | None, roots: Roots) -> ImageSet:
    rows, warnings = checked_attributes(read_manifest(path), path)
    listing = Listing(path.parent, roots=roots)
    for row in rows:
        columns = {name: value for name, value in row.columns.items() if name != "image"}
        if identities is False:
            columns.pop("identity", None)
        where = f"{path.name} line {row.line}"
        if "image" in row.columns:
            listing.add_named(row.columns["image"], columns, where)
        else:
            listing.reject(where, "missing", "the row names no image")
    images = ImageSet(path.parent, "manifest", listing.items(), tuple(listing.rejected), warnings, roots)
    if identities and "identity" not in images.columns:
        raise InputError(f"{path} has no column 'identity'. Add it, or leave out the identities option.")
    return images


def _manifest_of(path: Path) -> Path | None:
    """Return the manifest that a path refers to: the file itself, or the one inside the folder."""
    if not path.is_dir():
        if path.suffix.lower() in MANIFEST_SUFFIXES:
            return path
        raise InputError(
            f"{path} is a file. Give the folder that holds the images ({path.parent}), or a manifest "
            f"ending in {' or '.join(MANIFEST_SUFFIXES)}, or a file of images ending in {' or '.join(SOURCE_SUFFIXES)}."
        )
    names = [f"manifest{suffix}" for suffix in MANIFEST_SUFFIXES]
    inside = [path / name for name in names if (path / name).is_file()]
    if len(inside) > 1:
        raise InputError(f"{path} holds {inside[0].name} and {inside[1].name}. Name the one to use.")
    return inside[0] if inside else None


def _check_identities(images: ImageSet) -> None:
    """Reject identities that are probably the same person in two spellings."""
    pair = twins(name for name in images.column("identity") if name is not None)
    if pair is not None:
        raise InputError(
            f"{images.root}: the identities '{pair[0]}' and '{pair[1]}' differ only in letter case, Unicode form or "
            "spaces. Merge them, or rename one."
        )


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that is too long or holds a null character
        return False


def _similar_neighbour(path: Path) -> str:
    """Return a hint to a similar name in the same folder."""
    try:
        close = close_names(path.name, [entry.name for entry in path.parent.iterdir()])
    except OSError:
        return f" Its folder {path.parent} does not exist either."
    return f" Did you mean {path.parent / close[0]}?" if close else ""


def _why_empty(path: Path, rejected: tuple[Rejected, ...]) -> str:
    no_images = path.is_dir() and all(entry.reason == "other_file" for entry in rejected)
    people = folder_of_people(path) if no_images else None
    if people is not None:
        return (
            f"No image in {path} or one level down. Evaluate {people}, which has one folder for each person."
        )
    if not rejected:
        return f"{path} is empty. Give a folder of images ({', '.join(sorted(SUFFIXES))}) or a manifest."
    counts = ", ".join(
        f"{n} {reason}" for reason, n in Counter(entry.reason for entry in rejected).most_common()
    )
    first = rejected[0]
    return f"No image in {path} can be used ({counts}). The first: {first.name}: {first.detail}."


__all__ = [
    "DEFAULT_LIMITS",
    "Decoded",
    "Image",
    "ImageError",
    "ImageSet",
    "Item",
    "Limits",
    "Reason",
    "Rejected",
    "decode",
    "decode_with_notes",
    "read",
]
