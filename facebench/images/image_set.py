"""Image sets: a folder, a folder of identity sub-folders, or a manifest becomes an ordered list of items.

Listing reads no pixels. Every file that is met and not used is named with its reason, except hidden ones
(names that begin with a dot), which are skipped. docs/images.md states the whole policy.
"""

from __future__ import annotations

import difflib
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from facebench.core.errors import InputError
from facebench.images.decoding import (
    DEFAULT,
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

Kind = Literal["folder", "identities", "manifest"]


@dataclass(frozen=True)
class ImageSet:
    """An ordered list of image files, and the files that were met and cannot be used."""

    root: Path
    kind: Kind
    items: tuple[Item, ...]
    rejected: tuple[Rejected, ...] = ()

    @classmethod
    def open(cls, path: str | Path, *, identities: bool | None = None) -> ImageSet:
        """List the images of a folder or of a manifest, sorted by name, each file once.

        A folder that holds `manifest.csv` or `manifest.parquet` is opened through it. Otherwise, images
        in the folder itself make a flat set, and when there are none, the sub-folders one level down are
        identities.

        Args:
            path: a folder, or a manifest ending in .csv or .parquet.
            identities: None decides as above. True insists that sub-folders (or the manifest's column
                `identity`) are identities. False reads the sub-folders at every depth as one plain set.

        Returns:
            A set with at least one item. The files exist; whether they hold images, `decode` decides.

        Raises:
            InputError: there is no such folder, no image in it, or the manifest is broken.

        Example:
            >>> images = ImageSet.open("tests/goldens/images")
            >>> images.kind, len(images), images.items[0].name, images.column("identity")[0]
            ('identities', 64, 'a/id000_angry.png', 'a')
        """
        path = Path(os.path.normpath(Path(path).absolute()))
        if not path.exists():
            raise InputError(f"There is no {path}.{_close_neighbour(path)}")
        manifest = _manifest_of(path)
        if manifest is not None:
            images = _from_manifest(manifest, identities)
        else:
            images = _from_folder(path, identities)
        if not images.items:
            raise InputError(_why_empty(path, images.rejected))
        return images

    def __len__(self) -> int:
        return len(self.items)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns that at least one item has, sorted."""
        return tuple(sorted({name for item in self.items for name in item.columns}))

    def column(self, name: str) -> list[str | None]:
        """One value for each item, None where it has none."""
        return [item.columns.get(name) for item in self.items]

    def linked(self, column: str) -> tuple[ImageSet, list[int | None]]:
        """Follow a column that names image files, such as `source` or `target`.

        Paths are relative to the manifest. Unlike `image`, they may also lie beside the manifest's folder
        (one level up: `../photographs/a.png`), but no further away.

        Returns:
            The files that the column names, each once, sorted by name, with those that cannot be used in
            `rejected`; and for each item of this set its index there, None where it has no usable one.

        Raises:
            InputError: no item has the column.
        """
        if column not in self.columns:
            close = difflib.get_close_matches(column, self.columns, n=1)
            hint = (
                f" Did you mean '{close[0]}'?"
                if close
                else f" There are: {', '.join(self.columns) or 'none'}."
            )
            raise InputError(f"{self.root} has no column '{column}'.{hint}")
        listing = Listing(self.root, beside=True)
        wanted = [text or "" for text in self.column(column)]
        where = f"column '{column}'"
        kept = {text: listing.add_named(text, {}, where) for text in sorted({*wanted} - {""})}
        known = {item.name: item for item in self.items}
        items = tuple(known.get(item.name, item) for item in listing.items())
        index = {item.name: position for position, item in enumerate(items)}
        # Two spellings of one path are no news here: the index says what they share.
        rejected = tuple(entry for entry in listing.rejected if entry.reason != "duplicate")
        names = [kept.get(text) for text in wanted]
        found = [None if name is None else index[name] for name in names]
        return ImageSet(self.root, self.kind, items, rejected), found


def read(item: Item, limits: Limits = DEFAULT) -> bytes:
    """The bytes of an item's file.

    Raises:
        ImageError: with the reason missing, unreadable, empty or too_large.
    """
    try:
        if item.path.stat().st_size > limits.max_bytes:
            raise ImageError("too_large", f"more than {limits.max_bytes} bytes", item.name)
        data = item.path.read_bytes()
    except FileNotFoundError as error:
        raise ImageError("missing", "the file is gone", item.name) from error
    except OSError as error:
        raise ImageError("unreadable", error.strerror or str(error), item.name) from error
    if not data:
        raise ImageError("empty", "the file has no bytes", item.name)
    return data


def _from_folder(root: Path, identities: bool | None) -> ImageSet:
    """List a folder; `ImageSet.open` states the rule by which its layout is told."""
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
            listing.reject(name, "other_file", "lies outside the identity sub-folders")
    return ImageSet(root, "folder" if flat else "identities", listing.items(), tuple(listing.rejected))


def _from_manifest(path: Path, identities: bool | None) -> ImageSet:
    listing = Listing(path.parent)
    for row in read_manifest(path):
        columns = {name: value for name, value in row.columns.items() if name != "image"}
        if identities is False:
            columns.pop("identity", None)
        where = f"{path.name} line {row.line}"
        if "image" in row.columns:
            listing.add_named(row.columns["image"], columns, where)
        else:
            listing.reject(where, "missing", "the row names no image")
    images = ImageSet(path.parent, "manifest", listing.items(), tuple(listing.rejected))
    if identities and "identity" not in images.columns:
        raise InputError(f"{path} has no column 'identity'. Add it, or leave out the identities option.")
    return images


def _manifest_of(path: Path) -> Path | None:
    """The manifest that a path means: itself, or the one inside the folder."""
    if not path.is_dir():
        if path.suffix.lower() in MANIFEST_SUFFIXES:
            return path
        raise InputError(
            f"{path} is a file. Give the folder that holds the images ({path.parent}), or a manifest "
            f"ending in {' or '.join(MANIFEST_SUFFIXES)}."
        )
    names = [f"manifest{suffix}" for suffix in MANIFEST_SUFFIXES]
    inside = [path / name for name in names if (path / name).is_file()]
    if len(inside) > 1:
        raise InputError(f"{path} holds {inside[0].name} and {inside[1].name}. Name the one to use.")
    return inside[0] if inside else None


def _close_neighbour(path: Path) -> str:
    try:
        close = difflib.get_close_matches(path.name, [entry.name for entry in path.parent.iterdir()], n=1)
    except OSError:
        return f" Nor is there a folder {path.parent}."
    return f" Did you mean {path.parent / close[0]}?" if close else ""


def _why_empty(path: Path, rejected: tuple[Rejected, ...]) -> str:
    if not rejected:
        return f"{path} is empty. Give a folder of images ({', '.join(sorted(SUFFIXES))}) or a manifest."
    counts = ", ".join(
        f"{n} {reason}" for reason, n in Counter(entry.reason for entry in rejected).most_common()
    )
    first = rejected[0]
    return f"No image in {path} can be used ({counts}). The first: {first.name}: {first.detail}."


__all__ = [
    "DEFAULT",
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
