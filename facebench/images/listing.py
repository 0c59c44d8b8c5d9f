"""Walking folders and naming files: each real file becomes one item, everything else a reason."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from facebench.images.decoding import Reason

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".pgm", ".ppm"})
UNREAD_SUFFIXES = frozenset({".gif", ".avif", ".heic", ".heif", ".jxl", ".jp2", ".svg", ".psd"})
"""Pictures that this project does not read: a loss, unlike the notes and logs that lie beside images."""


@dataclass(frozen=True)
class Item:
    """One image file of a set."""

    path: Path
    name: str
    """Path below the set's root with forward slashes: unique in the set, and what it is sorted by."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Whatever is known about the image: identity, expression, source, ... Empty cells are left out."""


@dataclass(frozen=True)
class Rejected:
    """One file or row that is not used, and why."""

    name: str
    reason: Reason
    detail: str
    scope: Literal["all", "faces"] = "all"
    """"faces" when only the networks that need a face go without the image."""

    @property
    def counts(self) -> bool:
        """Whether it is a loss: a second name of the same image and a text file beside images are not."""
        return self.reason not in ("duplicate", "other_file")


class Listing:
    """Collects the files of one set below `root`.

    Names given by a manifest must stay inside `root`; with `beside`, inside the folder that holds `root`,
    so that `../photographs/a.png` works while `../../etc/a.png` does not. The whole disk is never "beside".
    """

    def __init__(self, root: Path, *, beside: bool = False) -> None:
        self.root = root
        self.rejected: list[Rejected] = []
        wider = beside and root.parent != Path(root.anchor)
        self._allowed = root.parent if wider else root
        self._first: dict[Path, tuple[Item, str]] = {}
        self._real_folders: dict[Path, Path] = {}

    def items(self) -> tuple[Item, ...]:
        """What was collected, sorted by name."""
        return tuple(sorted((item for item, _ in self._first.values()), key=lambda item: item.name))

    def reject(self, name: str, reason: Reason, detail: str) -> None:
        """List a file that is not used."""
        self.rejected.append(Rejected(printable(name), reason, detail))

    def add_file(self, name: str, columns: Mapping[str, str] | None = None) -> None:
        """Take a file met in a folder, by its suffix."""
        suffix = Path(name).suffix.lower()
        if suffix in SUFFIXES:
            self._add(self.root / name, columns or {}, "")
        elif suffix in UNREAD_SUFFIXES:
            self.reject(name, "unsupported", f"{suffix} is not read; convert it to PNG")
        else:
            self.reject(name, "other_file", f"the suffix '{suffix}' is not that of an image")

    def add_named(self, text: str, columns: Mapping[str, str], where: str) -> str | None:
        """Take a file that a table names; its name in the set, or None when it cannot be used."""
        path = Path(os.path.normpath(self.root / text))
        if not path.is_relative_to(self._allowed):
            self.reject(text, "outside", f"{where}: leads out of {self._allowed}; move the file there")
            return None
        return self._add(path, columns, where)

    def _add(self, path: Path, columns: Mapping[str, str], where: str) -> str | None:
        name = printable(os.path.relpath(path, self.root).replace(os.sep, "/"))
        trouble = _trouble(path)
        if trouble:
            reason, detail = trouble
            self.reject(name, reason, f"{where}: {detail}" if where else detail)
            return None
        real = self._real(path)
        if real in self._first:
            first, first_where = self._first[real]
            self.reject(name, "duplicate", _again(first, first_where, columns, where))
            return first.name
        self._first[real] = Item(path, name, columns), where
        return name

    def _real(self, path: Path) -> Path:
        """The path without links; folders are resolved once."""
        if path.is_symlink():
            return path.resolve()
        folder = self._real_folders.get(path.parent)
        if folder is None:
            folder = self._real_folders[path.parent] = path.parent.resolve()
        return folder / path.name


def files_below(root: Path, listing: Listing, levels: int | None) -> Iterator[str]:
    """Names of the files that are not hidden, sorted as whole names.

    Folders deeper than `levels` (None: no limit) are listed as not read, unreadable ones as unreadable, and
    a folder that is met again through a link as a duplicate: so a loop of links ends.
    """
    names: list[str] = []
    seen: set[Path] = set()

    def visit(below: str, depth: int) -> None:
        real = (root / below).resolve()
        if real in seen:
            listing.reject(f"{below}/", "duplicate", "links to a folder that is read already")
            return
        seen.add(real)
        try:
            entries = sorted(entry.name for entry in real.iterdir() if not entry.name.startswith("."))
        except OSError as error:
            listing.reject(f"{below}/", "unreadable", error.strerror or str(error))
            return
        for entry in entries:
            name = f"{below}/{entry}" if below else entry
            if not _is_folder(root / name):
                names.append(name)
            elif levels is not None and depth >= levels:
                listing.reject(f"{name}/", "other_file", "a folder at this depth is not read")
            else:
                visit(name, depth + 1)

    visit("", 0)
    yield from sorted(names)


def has_suffix(name: str, suffixes: frozenset[str]) -> bool:
    """Whether a file name ends in one of the suffixes, in any case of letters."""
    return Path(name).suffix.lower() in suffixes


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # not allowed to look: `Listing` will say so when it looks itself
        return False


def printable(name: str) -> str:
    """A file name as text that can be written anywhere: bytes that are not UTF-8 become escapes."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _trouble(path: Path) -> tuple[Reason, str] | None:
    """Why the file cannot be read as an image, without reading it."""
    try:
        info = path.stat()
    except PermissionError as error:
        return "unreadable", error.strerror or str(error)
    except (OSError, ValueError):
        return "missing", "a link that leads nowhere" if path.is_symlink() else "there is no such file"
    if not stat.S_ISREG(info.st_mode):
        return "not_an_image", "is a folder" if stat.S_ISDIR(info.st_mode) else "is not a regular file"
    if info.st_size == 0:
        return "empty", "the file has no bytes"
    return None


def _again(first: Item, first_where: str, columns: Mapping[str, str], where: str) -> str:
    """How a second name of the same file differs from the first, which is kept."""
    if not where:
        return f"the same file as {first.name}"
    same = f"{where}: the same file as {first.name} in {first_where}"
    for name in sorted({*first.columns, *columns}):
        if first.columns.get(name) != columns.get(name):
            return (
                f"{same}, there with {name} '{first.columns.get(name, '')}', here '{columns.get(name, '')}'"
            )
    return same
