"""Lists of image files: a text file with one path in each line, or paths in Python."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from facebench.core.errors import InputError
from facebench.images.listing import Listing

SUFFIX = ".txt"


def read_list(file: Path) -> list[Path]:
    """Read a text file with one path in each line; relative paths begin at the folder of the file.

    Raises:
        InputError: the file cannot be read, is not UTF-8, or names no image.
    """
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"{file} is not UTF-8 text. Save the list as UTF-8, one path in each line."
        ) from error
    paths = [file.parent / line.strip() for line in lines if line.strip()]
    if not paths:
        raise InputError(f"{file} is empty. Write one path in each line.")
    return paths


def list_paths(paths: Sequence[str | os.PathLike[str]]) -> Listing:
    """List files; their names are relative to the deepest folder that holds them all.

    Files that do not exist, or that are named twice, are rejected in the listing.

    Raises:
        InputError: the list holds no path, or a path holds a null character.
    """
    if not paths:
        raise InputError("The list of paths is empty.")
    try:
        files = [Path(os.path.normpath(Path(path).absolute())) for path in paths]
        root = Path(os.path.commonpath([file.parent for file in files]))
    except ValueError as error:
        raise InputError(f"The list of paths cannot be read: {error}.") from error
    listing = Listing(root)
    for place, file in enumerate(files, start=1):
        listing.add_named(os.path.relpath(file, root), {}, f"path {place}")
    return listing
