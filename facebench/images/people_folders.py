"""Find the folder whose sub-folders are people, near a folder that does not fit."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from facebench.images.listing import SUFFIXES, has_suffix

_DEPTH = 2
"""Levels of sub-folders that are searched."""
_FOLDERS = 50
"""Largest number of sub-folders of a folder that are searched."""


def folder_of_people(root: Path) -> Path | None:
    """Return a folder with several folders of images: the parent, or the first one below."""
    candidates = [root.parent] if _has_images(root) else []
    level = [root]
    for _ in range(_DEPTH):
        level = [child for folder in level for child in _subfolders(folder)]
        candidates += level
    return next((folder for folder in candidates if _has_people(folder)), None)


def _has_people(folder: Path) -> bool:
    """Return whether a folder has no image itself and several sub-folders with images."""
    return not _has_images(folder) and sum(map(_has_images, _subfolders(folder))) > 1


def _has_images(folder: Path) -> bool:
    try:
        return any(has_suffix(file.name, SUFFIXES) for file in folder.iterdir())
    except OSError:
        return False


def _subfolders(folder: Path) -> list[Path]:
    try:
        return sorted(islice((each for each in folder.iterdir() if each.is_dir()), _FOLDERS))
    except OSError:
        return []
