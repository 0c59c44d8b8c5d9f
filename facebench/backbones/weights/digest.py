"""Fingerprints of files, computed once per process and file."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

_BLOCK = 1 << 20


def sha256_of(path: Path) -> str:
    """Sha256 of a file's bytes; remembered within the process by path, size and modification time."""
    return _digest(*_identity(path), kind="sha256")


def git_blob_of(path: Path) -> str:
    """Git's id of a file's content: sha1 over the header "blob SIZE" and the bytes; remembered likewise."""
    return _digest(*_identity(path), kind="git_blob")


def _identity(path: Path) -> tuple[Path, int, int]:
    found = path.stat()
    return path, found.st_size, found.st_mtime_ns


@lru_cache(maxsize=256)
def _digest(path: Path, size: int, mtime_ns: int, *, kind: str) -> str:
    digest = hashlib.sha256()
    if kind == "git_blob":
        digest = hashlib.sha1(f"blob {size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
