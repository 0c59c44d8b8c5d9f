"""Named folders outside the folder of a manifest: `@albums/ann/3.png` is a file below the root `albums`."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from facebench.core.errors import InputError
from facebench.core.suggest import suggest

MARK = "@"
Roots = Mapping[str, Path]
"""Folders by name."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def parse_roots(options: Sequence[str] | None) -> dict[str, Path]:
    """Parse `--root NAME=DIR` options.

    Raises:
        InputError: an option without a valid name or an existing folder, or a name twice.

    Example:
        >>> parse_roots(["albums=tests"])
        {'albums': PosixPath('tests')}
    """
    roots: dict[str, Path] = {}
    for option in options or []:
        name, _, folder = option.partition("=")
        if not _NAME.fullmatch(name) or not folder or name in roots:
            problem = "is given twice" if name in roots else "is not NAME=DIR"
            raise InputError(f"The root '{option}' {problem}. Write for example: --root albums=/data/albums")
        if not Path(folder).is_dir():
            raise InputError(f"The root '{name}' is not a folder: {folder}. Create it, or correct the path.")
        roots[name] = Path(folder)
    return roots


def resolve(text: str, roots: Roots) -> Path | None:
    """Return the file that a cell such as "@albums/ann/3.png" names; None for cells without a root.

    Raises:
        InputError: the root is not named, or the path leaves it.
    """
    if not text.startswith(MARK):
        return None
    name, _, rest = text[len(MARK) :].partition("/")
    if name not in roots:
        if not roots:
            return None  # a folder may begin with the mark
        raise InputError(f"the root '{name}' is not named. {suggest(name, roots)}")
    folder = absolute(roots[name])
    path = Path(os.path.normpath(folder / rest))
    if not path.is_relative_to(folder):
        raise InputError(f"the path leaves the root '{name}'")
    return path


def absolute(path: Path) -> Path:
    """Return an absolute path without `..`; links are kept."""
    return Path(os.path.normpath(path.absolute()))


def cell_of(path: Path, roots: Roots) -> str | None:
    """Return the cell that names a file below one of the roots, the deepest first; None for other files.

    Example:
        >>> cell_of(Path("/data/albums/ann/3.png"), {"albums": Path("/data/albums")})
        '@albums/ann/3.png'
    """
    path = absolute(path)
    folders = {name: absolute(folder) for name, folder in roots.items()}
    for name in sorted(folders, key=lambda name: len(folders[name].parts), reverse=True):
        if path.is_relative_to(folders[name]):
            return f"{MARK}{name}/{path.relative_to(folders[name]).as_posix()}"
    return None
