"""Sha256 and git blob id of files, cached within the process."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

_BLOCK = 1 << 20


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file; cached by path, size and modification time."""
    return _digest(*_version(path), kind="sha256")


def git_blob_of(path: Path) -> str:
    """Return git's id of a file: the sha1 of the header "blob SIZE" and the bytes; cached as `sha256_of`."""
    return _digest(*_version(path), kind="git_blob")


def _version(path: Path) -> tuple[Path, int, int]:
    status = path.stat()
    return path, status.st_size, status.st_mtime_ns


@lru_cache(maxsize=256)
def _digest(path: Path, size: int, mtime_ns: int, *, kind: str) -> str:
    digest = hashlib.sha256()
    if kind == "git_blob":
        digest = hashlib.sha1(f"blob {size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
