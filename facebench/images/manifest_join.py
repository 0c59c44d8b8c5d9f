"""Join manifests of many folders into one; fields of their paths become columns.

Linked images with equal content become one file, such as the source photo that every cell of a study saves. They are
read once, and pairs can be compared between cells.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from facebench.core.errors import InputError
from facebench.images.manifest import read_manifest
from facebench.images.manifest_builder import LINKED, PATHS, BuiltManifest, Layout, Linker, Unmatched


def join_manifests(roots: Sequence[Path], layout: Layout, folder: Path) -> BuiltManifest:
    """Join all manifests below the roots whose path matches the pattern.

    Args:
        roots: folders that hold the manifests.
        layout: pattern of the paths of the manifests, further columns, and named roots; links are not used.
        folder: folder of the joined manifest.

    Returns:
        The rows: the columns of each manifest, the fields of its path, and the further columns.

    Raises:
        InputError: no manifest matches, or a column is also a field.
    """
    found = sorted((root, path) for root in roots for path in root.rglob("*.csv"))
    named = [(root, path, path.relative_to(root).as_posix()) for root, path in found]
    matched = [(path, layout.pattern.match(name)) for _, path, name in named]
    if not any(fields is not None for _, fields in matched):
        nearest = layout.pattern.nearest(name for _, _, name in named)
        hint = f" The nearest path, '{nearest.path}', {nearest.reason}." if nearest else ""
        raise InputError(
            f"No manifest below {', '.join(map(str, roots))} matches '{layout.pattern.text}'.{hint}"
        )
    linker, contents = Linker(layout, roots, folder), _Contents()
    rows: list[dict[str, str]] = []
    unmatched: list[Unmatched] = []
    for path, fields in matched:
        if fields is None:
            continue
        values = {**fields}
        for name, template in layout.columns.items():
            values[name] = template.fill(values)
        for row in read_manifest(path):
            twice = sorted(set(row.columns) & set(values))
            if twice:
                raise InputError(
                    f"{path} has a column '{twice[0]}', which is also a field. Rename the field."
                )
            cells, missing = _cells(path, row.columns, linker, contents)
            if missing:
                unmatched.append(Unmatched(f"{path} line {row.line}", missing))
            else:
                rows.append({**cells, **values})
    if not rows:
        raise InputError(
            f"No row of {len(matched)} manifests has all its images. The first: {unmatched[0].reason}."
        )
    return BuiltManifest(rows, unmatched, [])


def _cells(
    path: Path, columns: dict[str, str], linker: Linker, contents: _Contents
) -> tuple[dict[str, str], str]:
    """Cells of one row with paths from the joined manifest; and why the row cannot be used."""
    cells = dict(columns)
    for name in PATHS:
        if name not in columns:
            continue
        file = path.parent / columns[name]
        if not file.is_file():
            return {}, f"its {name} {columns[name]} does not exist"
        cells[name] = linker.cell(contents.first(file) if name in LINKED else file, name)
    return cells, ""


@dataclass(frozen=True)
class _Contents:
    """First file of each content."""

    files: dict[str, Path] = field(default_factory=dict)
    digests: dict[Path, str] = field(default_factory=dict)

    def first(self, file: Path) -> Path:
        if file not in self.digests:
            self.digests[file] = hashlib.sha256(file.read_bytes()).hexdigest()
        return self.files.setdefault(self.digests[file], file)
