"""Caches of training images: byte arrays in files that several processes map into memory."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import platformdirs
from numpy.typing import NDArray


def cache_folder(name: str) -> Path:
    """Return a sub-folder of facebench's cache folder."""
    root = os.environ.get("FACEBENCH_CACHE") or platformdirs.user_cache_dir("facebench", appauthor=False)
    return Path(root) / name


def mapped_array(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Map a file as a byte array, initially zero; disk space is used only where the array is written."""
    size = int(np.prod(shape))
    with path.open("ab") as file:
        if path.stat().st_size < size:
            file.truncate(size)
    return np.memmap(path, np.uint8, "r+", shape=shape)
