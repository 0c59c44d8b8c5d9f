"""Image sets in archives: which members are images, and where their columns come from.

In this order: a manifest in the archive; the labels of `dataset.json` (StyleGAN and EDM); files beside the images
(WebDataset); else the rule for folders, by which folders without images beside them are identities.
"""

from __future__ import annotations

import json
import posixpath
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from facebench.core.errors import InputError
from facebench.images.errors import ImageError, Reason
from facebench.images.formats import how_to_read, plugin_of
from facebench.images.listing import OTHER_SUFFIXES, SUFFIXES, Item, Rejected, has_suffix
from facebench.images.manifest import SUFFIXES as MANIFEST_SUFFIXES
from facebench.images.names import is_system_name, printable, same_characters
from facebench.images.sources import tar
from facebench.images.sources.content import MAX_TABLE, Content, Members

LABELS = "dataset.json"
"""File of StyleGAN and EDM with the labels of an archive."""
Kind = Literal["zip", "tar", "npz", "parquet", "lmdb", "dataset", "video", "list", "memory"]


class MemberListing:
    """Collects the images of an archive, as `Listing` does for folders.

    Args:
        archive: path of the archive.
        members: content of all members by name.
    """

    def __init__(self, archive: Path, members: Mapping[str, Content]) -> None:
        self.archive, self.members = archive, members
        self.rejected: list[Rejected] = []
        self._items: dict[str, Item] = {}
        self._by_characters: dict[str, str] | None = None

    def items(self) -> tuple[Item, ...]:
        """Return the collected items, sorted by name."""
        return tuple(self._items[name] for name in sorted(self._items))

    def reject(self, name: str, reason: Reason, detail: str) -> None:
        """Record a member that is not used."""
        self.rejected.append(Rejected(printable(name), reason, detail))

    def add_file(self, name: str, columns: Mapping[str, str] | None = None) -> None:
        """Add a member if its suffix is that of an image."""
        suffix = Path(name).suffix.lower()
        if suffix in OTHER_SUFFIXES and plugin_of(suffix.removeprefix(".").upper()) is None:
            self.reject(name, "unsupported", how_to_read(suffix.removeprefix(".").upper()))
        elif suffix in SUFFIXES | OTHER_SUFFIXES:
            self._add(name, columns or {})
        else:
            self.reject(name, "other_file", f"'{suffix}' is not the suffix of an image")

    def add_named(self, text: str, columns: Mapping[str, str], where: str) -> str | None:
        """Add a member named by a table; return its name, or None if there is no such member."""
        name = posixpath.normpath(text.replace("\\", "/"))
        if name.startswith(("/", "../")):
            self.reject(text, "outside", f"{where}: the path leaves {self.archive.name}")
            return None
        if name not in self.members:
            name = self._other_unicode_form(name)
        if name not in self.members:
            self.reject(text, "missing", f"{where}: {self.archive.name} has no such member")
            return None
        if printable(name) in self._items:
            self.reject(text, "duplicate", f"{where}: the same member as before")
            return printable(name)
        self._add(name, columns)
        return printable(name)

    def set_columns(self, item: Item, columns: Mapping[str, str]) -> None:
        """Replace the columns of an item."""
        self._items[item.name] = replace(item, columns=columns)

    def _add(self, name: str, columns: Mapping[str, str]) -> None:
        shown = printable(name)
        self._items[shown] = Item(self.archive, shown, columns, self.members[name])

    def _other_unicode_form(self, name: str) -> str:
        if self._by_characters is None:
            self._by_characters = {same_characters(member): member for member in self.members}
        return self._by_characters.get(same_characters(name), name)


def visible(path: Path, members: Members) -> Members:
    """Return the members without hidden and system files, and without one top folder named like the archive."""
    top = f"{path.stem}/"
    every = [*members.contents, *(name for name, _, _ in members.rejected)]
    shown = [
        name for name in every if not any(is_system_name(part) for part in name.split("/") if part.strip("."))
    ]
    cut = len(top) if shown and all(name.startswith(top) for name in shown) else 0
    kept = frozenset(shown)
    return Members(
        {name[cut:]: content for name, content in members.contents.items() if name in kept},
        [(name[cut:], reason, detail) for name, reason, detail in members.rejected if name in kept],
        {name[cut:]: columns for name, columns in members.columns.items()},
    )


def manifest_in(path: Path, members: Members) -> tuple[str, bytes] | None:
    """Return the name and the content of the manifest in an archive.

    Raises:
        InputError: there are two, or it is damaged.
    """
    names = [f"manifest{suffix}" for suffix in MANIFEST_SUFFIXES if f"manifest{suffix}" in members.contents]
    if len(names) > 1:
        raise InputError(f"{path} holds {names[0]} and {names[1]}. Keep one of them.")
    return (names[0], table_of(path, members, names[0])) if names else None


def table_of(path: Path, members: Members, name: str) -> bytes:
    """Return the content of a table in an archive."""
    try:
        return members.contents[name].read(name, MAX_TABLE)
    except ImageError as error:
        raise InputError(f"{path}: {error}. Copy the archive again.") from error


def list_images(path: Path, members: Members, identities: bool | None) -> MemberListing:
    """List the images of an archive without a manifest."""
    listing = MemberListing(path, members.contents)
    labels = _labels(path, members)
    names = [name for name in sorted(members.contents) if labels is None or name != LABELS]
    flat = identities is False or labels is not None or bool(members.columns)
    if not flat and identities is None:
        flat = any("/" not in name and has_suffix(name, SUFFIXES) for name in names)
        if flat:
            return _top_level(listing, names)
    for name in names:
        if flat:
            beside = members.columns.get(tar.key_and_suffix(name)[0], {})
            listing.add_file(name, {**beside, **(labels or {}).get(name, {})})
        elif name.count("/") == 1:
            listing.add_file(name, {"identity": printable(name.partition("/")[0])})
        else:
            where = (
                "folders at this depth are not read" if "/" in name else "lies outside the identity folders"
            )
            listing.reject(name, "other_file", where)
    return listing


def _top_level(listing: MemberListing, names: Sequence[str]) -> MemberListing:
    """List the images of the top folder; each folder beside them is reported once, as for folders."""
    for name in names:
        if "/" not in name:
            listing.add_file(name)
    for folder in sorted({name.partition("/")[0] for name in names if "/" in name}):
        listing.reject(f"{folder}/", "other_file", "folders at this depth are not read")
    return listing


def _labels(path: Path, members: Members) -> dict[str, dict[str, str]] | None:
    """Return the columns of the labels in `dataset.json`; None without the file."""
    if LABELS not in members.contents:
        return None
    try:
        labels = json.loads(table_of(path, members, LABELS))["labels"] or []
        return {str(name): {"label": _label_text(label)} for name, label in labels if label is not None}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(
            f'{path}: {LABELS} must hold {{"labels": [["NAME", LABEL], ...]}} or null labels. Correct it.'
        ) from error


def _label_text(label: object) -> str:
    """Return a class as its number, a one-hot vector as the number of its class, and any other label as JSON."""
    if isinstance(label, list) and sorted(label, key=str) == sorted([1, *[0] * (len(label) - 1)], key=str):
        return str(label.index(1))
    return str(label) if isinstance(label, int | str) else json.dumps(label)


def merged(shards: Mapping[Path, Members]) -> Members:
    """Join the members of several shards; if names repeat between shards, all begin with the name of the shard."""
    counts = Counter(name for members in shards.values() for name in members.contents)
    repeated = any(count > 1 for count in counts.values())
    result = Members()
    for path, members in shards.items():
        start = f"{path.stem}/" if repeated else ""
        result.contents |= {start + name: content for name, content in members.contents.items()}
        result.rejected += [(start + name, reason, detail) for name, reason, detail in members.rejected]
        result.columns |= {start + key: columns for key, columns in members.columns.items()}
    return result
