"""Listing of folders: each file becomes one item, or is rejected with a reason."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from facebench.core.errors import InputError
from facebench.images import named_roots
from facebench.images.errors import Reason
from facebench.images.formats import SNIFF_BYTES, format_of, how_to_read, plugin_of
from facebench.images.named_roots import Roots
from facebench.images.names import is_system_name, normal_form, printable, same_characters
from facebench.images.sources.content import Content

SUFFIXES = frozenset(
    {
        ".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jif", ".jfif", ".pjp", ".pjpeg", ".webp",
        ".bmp", ".dib", ".tif", ".tiff", ".pbm", ".pgm", ".ppm", ".pnm",
    }
)  # fmt: skip
"""Suffixes of image files."""
OTHER_SUFFIXES = frozenset({".gif", ".avif", ".heic", ".heif", ".hif", ".jxl", ".jp2", ".svg", ".psd"})
"""Suffixes of formats that are usually not supported. A file with unsupported content counts as a loss."""


@dataclass(frozen=True)
class Item:
    """An image file of a set."""

    path: Path
    name: str
    """Path relative to the root of the set, with forward slashes. It is unique and determines the order."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Attributes of the image: identity, expression, source, ... Empty cells are left out."""
    content: Content | None = None
    """Content of an image inside an archive or in memory; `path` is then the archive."""


@dataclass(frozen=True)
class Rejected:
    """A file or row that is not used."""

    name: str
    reason: Reason
    detail: str
    scope: Literal["all", "faces"] = "all"
    """"faces" if only networks that need a face skip the image."""

    @property
    def counts(self) -> bool:
        """Whether the file counts as a loss. Duplicates and files that are not images do not."""
        return self.reason not in ("duplicate", "other_file")


class Listing:
    """Collects the files of a set.

    Files named by a manifest must lie below `root`. With `beside`, they may also lie below the parent of `root`, so
    that `../photographs/a.png` is accepted and `../../etc/a.png` is not. The root of the disk is never accepted.

    Args:
        root: folder of the set.
        beside: also accept files below the parent folder.
        roots: named folders elsewhere, whose files a table names as `@NAME/path`.
    """

    def __init__(self, root: Path, *, beside: bool = False, roots: Roots | None = None) -> None:
        self.root, self.roots = root, roots or {}
        self.rejected: list[Rejected] = []
        self._allowed = root.parent if beside and root.parent != Path(root.anchor) else root
        self._first: dict[Path, tuple[Item, str]] = {}
        self._real_folders: dict[Path, Path] = {}
        self._entries: dict[Path, list[str]] = {}

    def items(self) -> tuple[Item, ...]:
        """Return the collected items, sorted by name."""
        return tuple(sorted((item for item, _ in self._first.values()), key=lambda item: item.name))

    def reject(self, name: str, reason: Reason, detail: str) -> None:
        """Record a file that is not used."""
        self.rejected.append(Rejected(printable(name), reason, detail))

    def add_file(self, name: str, columns: Mapping[str, str] | None = None) -> None:
        """Add a file of a folder if its suffix is that of an image."""
        suffix = Path(name).suffix.lower()
        if suffix in SUFFIXES:
            self._add(self.root / name, columns or {}, "")
        elif suffix in OTHER_SUFFIXES:
            kind = _sniff(self.root / name) or suffix.removeprefix(".").upper()
            if plugin_of(kind) is None:
                self.reject(name, "unsupported", how_to_read(kind))
            else:
                self._add(self.root / name, columns or {}, "")
        else:
            self.reject(name, "other_file", f"'{suffix}' is not the suffix of an image")

    def add_named(self, text: str, columns: Mapping[str, str], where: str) -> str | None:
        """Add a file named by a table.

        A path that does not exist as written is also tried with backslashes as separators and in other Unicode
        forms.

        Returns:
            The name of the item, or None if the file cannot be used.
        """
        try:
            in_root = named_roots.resolve(text, self.roots)
        except InputError as error:
            self.reject(text, "outside", f"{where}: {error}")
            return None
        if in_root is not None:
            return self._add(in_root, columns, where, named_roots.cell_of(in_root, self.roots))
        for spelling in dict.fromkeys([text, text.replace("\\", "/")]):
            path = Path(os.path.normpath(self.root / spelling))
            if not path.is_relative_to(self._allowed):
                self.reject(text, "outside", f"{where}: the path leaves {self._allowed}; move the file there")
                return None
            existing = path if _exists(path) else self._other_unicode_form(path)
            if existing is not None:
                return self._add(existing, columns, where)
        return self._add(Path(os.path.normpath(self.root / text)), columns, where)

    def _add(self, path: Path, columns: Mapping[str, str], where: str, name: str | None = None) -> str | None:
        name = printable(name or os.path.relpath(path, self.root).replace(os.sep, "/"))
        problem = _problem(path)
        if problem:
            reason, detail = problem
            if reason == "missing":
                detail += self._similar_file(path) + self._root_hint(name)
            self.reject(name, reason, f"{where}: {detail}" if where else detail)
            return None
        real = self._real(path)
        if real in self._first:
            first, first_where = self._first[real]
            self.reject(name, "duplicate", _describe_duplicate(first, first_where, columns, where))
            return first.name
        self._first[real] = Item(path, name, columns), where
        return name

    def _real(self, path: Path) -> Path:
        """Return the path without links; each folder is resolved once."""
        if path.is_symlink():
            return path.resolve()
        folder = self._real_folders.get(path.parent)
        if folder is None:
            folder = self._real_folders[path.parent] = path.parent.resolve()
        return folder / path.name

    def _other_unicode_form(self, path: Path) -> Path | None:
        """Return the existing path whose components differ from `path` only in Unicode form."""
        if str(path).isascii():
            return None
        found = self._allowed
        for part in path.relative_to(self._allowed).parts:
            names = [part] if _exists(found / part) else self._entries_of(found)
            match = next((name for name in names if same_characters(name) == same_characters(part)), None)
            if match is None:
                return None
            found = found / match
        return found

    def _similar_file(self, path: Path) -> str:
        """Return a hint to a file whose name differs only in letter case or spaces."""
        form = normal_form(path.name)
        match = next((name for name in self._entries_of(path.parent) if normal_form(name) == form), None)
        return "" if match is None or match == path.name else f"; the folder holds '{printable(match)}'"

    def _root_hint(self, name: str) -> str:
        """Return a hint for a name that begins like a file of a named root."""
        if not name.startswith(named_roots.MARK) or self.roots:
            return ""
        root = name[len(named_roots.MARK) :].partition("/")[0]
        return f"; if '{root}' is a named root, give its folder: --root {root}=DIR"

    def _entries_of(self, folder: Path) -> list[str]:
        if folder not in self._entries:
            try:
                self._entries[folder] = sorted(entry.name for entry in folder.iterdir())
            except (OSError, ValueError):
                self._entries[folder] = []
        return self._entries[folder]


def files_below(root: Path, listing: Listing, levels: int | None) -> Iterator[str]:
    """Yield the names of all files below a folder, sorted, without hidden and system files.

    Folders that are too deep, unreadable, or reached a second time through a link are rejected in `listing`.

    Args:
        root: the folder.
        listing: receives the rejected folders.
        levels: depth of the deepest folders that are read; None for no limit.
    """
    names: list[str] = []
    visited: set[Path] = set()

    def visit(below: str, depth: int) -> None:
        real = (root / below).resolve()
        if real in visited:
            listing.reject(f"{below}/", "duplicate", "links to a folder that is already read")
            return
        visited.add(real)
        try:
            entries = sorted(entry.name for entry in real.iterdir() if not is_system_name(entry.name))
        except OSError as error:
            listing.reject(f"{below}/", "unreadable", error.strerror or str(error))
            return
        for entry in entries:
            name = f"{below}/{entry}" if below else entry
            if not _is_folder(root / name):
                names.append(name)
            elif levels is not None and depth >= levels:
                listing.reject(f"{name}/", "other_file", "folders at this depth are not read")
            else:
                visit(name, depth + 1)

    visit("", 0)
    yield from sorted(names)


def has_suffix(name: str, suffixes: frozenset[str]) -> bool:
    """Whether a file name ends in one of the suffixes, in upper or lower case."""
    return Path(name).suffix.lower() in suffixes


def _sniff(path: Path) -> str | None:
    """Return the format of a file by its content; None if it is unknown or unreadable."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return None
        with path.open("rb") as file:
            return format_of(file.read(SNIFF_BYTES))
    except OSError:
        return None


def _exists(path: Path) -> bool:
    try:
        return os.path.lexists(path)
    except ValueError:  # a null character
        return False


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # not permitted: `Listing` reports it when the file is added
        return False


def _problem(path: Path) -> tuple[Reason, str] | None:
    """Return why a file cannot be used, without reading it."""
    try:
        info = path.stat()
    except PermissionError as error:
        return "unreadable", error.strerror or str(error)
    except (OSError, ValueError):
        return "missing", "the target of the link does not exist" if _exists(
            path
        ) else "the file does not exist"
    if not stat.S_ISREG(info.st_mode):
        return "not_an_image", "is a folder" if stat.S_ISDIR(info.st_mode) else "is not a regular file"
    if info.st_size == 0:
        return "empty", "the file has no bytes"
    return None


def _describe_duplicate(first: Item, first_where: str, columns: Mapping[str, str], where: str) -> str:
    """Describe how a second name of a file differs from the first, which is kept."""
    if not where:
        return f"the same file as {first.name}"
    same = f"{where}: the same file as {first.name} in {first_where}"
    for name in sorted({*first.columns, *columns}):
        if first.columns.get(name) != columns.get(name):
            return (
                f"{same}, there with {name} '{first.columns.get(name, '')}', here '{columns.get(name, '')}'"
            )
    return same
