"""Build a manifest from the paths of images: fields of a path pattern become columns."""

from __future__ import annotations

import csv
import io
import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from facebench.core.errors import InputError
from facebench.images.listing import SUFFIXES, Listing, files_below, has_suffix
from facebench.images.named_roots import Roots, absolute, cell_of
from facebench.images.path_pattern import PathPattern

LINKED = ("source", "target", "reconstruction")
"""Columns that hold paths of other images."""
PATHS = ("image", *LINKED)
PERSON = "person"
"""Field that is also the identity, where no field `identity` is given."""


@dataclass(frozen=True)
class Layout:
    """Description of a folder layout.

    Attributes:
        pattern: pattern of the paths below each root.
        links: pattern of the path of the source, target and reconstruction, by column. It composes paths from the
            fields; a file of another image suffix is used where the named one does not exist.
        columns: further columns, whose values may contain fields in braces.
        roots: named folders outside the folder of the manifest.
        allow_missing: leave out images whose source or target lies in a folder that does not exist; otherwise such a
            folder is an error.
    """

    pattern: PathPattern
    links: Mapping[str, PathPattern] = field(default_factory=dict)
    columns: Mapping[str, PathPattern] = field(default_factory=dict)
    roots: Roots = field(default_factory=dict)
    allow_missing: bool = False


@dataclass(frozen=True)
class Unmatched:
    """An image that is left out."""

    path: str
    reason: str


@dataclass(frozen=True)
class BuiltManifest:
    """Rows of a manifest, and the images that are left out.

    Attributes:
        rows: cells by column, sorted by path.
        unmatched: images that do not match the pattern, or without an existing source or target.
        ambiguous: paths whose fields could also be split in another way.
    """

    rows: list[dict[str, str]]
    unmatched: list[Unmatched]
    ambiguous: list[str]

    @property
    def columns(self) -> list[str]:
        """Names of all columns, paths first."""
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        return [name for name in PATHS if name in names] + [name for name in names if name not in PATHS]

    def values(self) -> dict[str, list[str]]:
        """Distinct values of each column that is not a path, sorted."""
        return {
            name: sorted({row[name] for row in self.rows if name in row})
            for name in self.columns
            if name not in PATHS
        }

    def csv(self) -> str:
        """The manifest as CSV text."""
        return _csv(self.columns, self.rows)


def build_manifest(roots: Sequence[Path], layout: Layout, folder: Path) -> BuiltManifest:
    """List the images below the roots, and read their columns from their paths.

    Args:
        roots: folders that hold the images.
        layout: pattern, links and further columns.
        folder: folder of the manifest, to which its paths are relative.

    Returns:
        The rows. The fields are columns; a field called `image`, `source`, `target` or `reconstruction` is the column
        `image_name`, `source_name`, ... because the column itself holds a path. A field `person` is copied to the
        column `identity`, unless a field or a further column of that name exists.

    Raises:
        InputError: no root holds an image, no path matches the pattern, or a folder of linked images does not exist.
    """
    _check_names(layout)
    found = [(root, name) for root in roots for name in _images_below(root)]
    if not found:
        raise InputError(f"No image was found below {', '.join(map(str, roots))}.")
    matched, unmatched, ambiguous = _match(found, layout.pattern)
    if not matched:
        nearest = layout.pattern.nearest(name for _, name in found)
        assert nearest is not None
        raise InputError(
            f"None of the {len(found):,} images matches '{layout.pattern.text}'. The nearest path, '{nearest.path}', "
            f"{nearest.reason}."
        )
    linker = Linker(layout, roots, folder)
    rows = []
    for root, name, fields in matched:
        row = {"image": linker.cell(root / name, "image"), **_named(fields)}
        missing = linker.add(row, fields)
        if missing:
            unmatched.append(Unmatched(_shown(root, name, roots), missing))
        else:
            rows.append(row)
    if linker.absent and not layout.allow_missing:
        folder_name, (column, count) = next(iter(linker.absent.items()))
        more = f" Missing as well: {len(linker.absent) - 1} more folders." if len(linker.absent) > 1 else ""
        raise InputError(
            f"The folder {folder_name} does not exist; it holds the {column} of {count:,} images.{more} Add it, or "
            "leave these images out with --allow-missing."
        )
    if not rows:
        raise InputError(
            f"All {len(matched):,} matching images lack a linked image. The first: {unmatched[-1].path}: "
            f"{unmatched[-1].reason}."
        )
    return BuiltManifest(rows, unmatched, ambiguous)


def missing_combinations(rows: Sequence[Mapping[str, str]], columns: Sequence[str]) -> list[dict[str, str]]:
    """Return the combinations of the values of some columns that no row has.

    Example:
        >>> missing_combinations([{"a": "1", "b": "1"}, {"a": "2", "b": "2"}], ["a", "b"])
        [{'a': '1', 'b': '2'}, {'a': '2', 'b': '1'}]
    """
    values = [sorted({row[name] for row in rows}) for name in columns]
    present = {tuple(row[name] for name in columns) for row in rows}
    return [
        dict(zip(columns, cell, strict=True)) for cell in itertools.product(*values) if cell not in present
    ]


def unmatched_csv(unmatched: Sequence[Unmatched]) -> str:
    """List the images that are left out, with the reason, as CSV text."""
    return _csv(["image", "reason"], [{"image": one.path, "reason": one.reason} for one in unmatched])


@dataclass(frozen=True)
class Linker:
    """Composes the paths of linked images and the cells that name files."""

    layout: Layout
    roots: Sequence[Path]
    folder: Path
    known: dict[str, Path | None] = field(default_factory=dict)
    entries: dict[Path, dict[str, Path]] = field(default_factory=dict)
    absent: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Column and number of images, by folder that does not exist."""

    def add(self, row: dict[str, str], fields: Mapping[str, str]) -> str:
        """Add linked images and further columns to a row; return why a linked image is missing, or an empty text."""
        values = {**fields}
        for name, template in self.layout.columns.items():
            row[name] = values[name] = template.fill(values)
        if PERSON in values:
            row.setdefault("identity", values[PERSON])
        for name, template in self.layout.links.items():
            text = template.fill(values)
            path = self._existing(text)
            if path is None:
                self._note_absent_folder(text, name)
                return f"its {name} {text} does not exist"
            row[name] = self.cell(path, name)
        return ""

    def _note_absent_folder(self, text: str, column: str) -> None:
        above = text.rpartition("/")[0]
        if not any((base / above).is_dir() for base in self._bases()):
            self.absent[above] = (column, self.absent.get(above, (column, 0))[1] + 1)

    def _bases(self) -> list[Path]:
        """Folders to which paths of linked images may be relative: the current folder, the roots, and beside them."""
        return [Path(), *self.roots, *(root.resolve().parent for root in self.roots)]

    def cell(self, path: Path, column: str) -> str:
        """Return the text that names a file in the manifest.

        Raises:
            InputError: the file lies outside the folder of the manifest and outside the named roots.
        """
        named = cell_of(path, self.layout.roots)
        if named is not None:
            return named
        path, folder = absolute(path), absolute(self.folder)
        # `ImageSet` accepts linked images one level above the manifest, and images below it.
        allowed = folder.parent if column != "image" else folder
        if path.is_relative_to(allowed):
            return Path(os.path.relpath(path, folder)).as_posix()
        root = next((each for each in self.roots if path.is_relative_to(absolute(each))), path.parent)
        raise InputError(
            f"{path} lies outside the folder of the manifest, {folder}. Name its folder with --root "
            f"{root.resolve().name or 'images'}={root}, or write the manifest to a folder above it."
        )

    def _existing(self, text: str) -> Path | None:
        """Return the linked file below the current folder, a root, or the folder of a root."""
        if text not in self.known:
            self.known[text] = next(
                (path for base in self._bases() if (path := self._file(base / text))), None
            )
        return self.known[text]

    def _file(self, path: Path) -> Path | None:
        if path.is_file():
            return path
        if path.parent not in self.entries:
            try:
                names = sorted(entry for entry in path.parent.iterdir() if has_suffix(entry.name, SUFFIXES))
            except OSError:
                names = []
            self.entries[path.parent] = {entry.stem: entry for entry in reversed(names)}
        return self.entries[path.parent].get(path.stem) if has_suffix(path.name, SUFFIXES) else None


def _check_names(layout: Layout) -> None:
    for name in layout.links:
        if name not in LINKED:
            raise InputError(f"'{name}' does not name a linked image. Known: {', '.join(LINKED)}.")
    for name in layout.columns:
        if name in PATHS:
            raise InputError(f"The column '{name}' holds a path. Use another name than {', '.join(PATHS)}.")
        if name in layout.pattern.fields:
            raise InputError(f"The column '{name}' is also a field of the pattern. Rename one.")


def _images_below(root: Path) -> Iterator[str]:
    if not root.is_dir():
        raise InputError(f"{root} is not a folder.")
    for name in files_below(root, Listing(root), levels=None):
        if has_suffix(name, SUFFIXES):
            yield name


def _match(
    found: Sequence[tuple[Path, str]], pattern: PathPattern
) -> tuple[list[tuple[Path, str, dict[str, str]]], list[Unmatched], list[str]]:
    matched, unmatched, ambiguous = [], [], []
    roots = list(dict.fromkeys(root for root, _ in found))
    for root, name in found:
        fields = pattern.match(name)
        if fields is None:
            unmatched.append(Unmatched(_shown(root, name, roots), pattern.departure(name).reason))
            continue
        matched.append((root, name, fields))
        if pattern.is_ambiguous(name):
            ambiguous.append(name)
    return matched, unmatched, ambiguous


def _named(fields: Mapping[str, str]) -> dict[str, str]:
    return {f"{name}_name" if name in PATHS else name: text for name, text in fields.items()}


def _shown(root: Path, name: str, roots: Sequence[Path]) -> str:
    return name if len(roots) == 1 else f"{root}/{name}"


def _csv(columns: Sequence[str], rows: Sequence[Mapping[str, str]]) -> str:
    text = io.StringIO()
    table = csv.DictWriter(text, columns, lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return text.getvalue()
