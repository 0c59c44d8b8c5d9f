"""Physical buffers of faces (rendering, normals, albedo), from synthetic parameters or from DECA and EMOCA."""

from __future__ import annotations

from pathlib import Path

from facebench.training.rig.buffers.dataset import BufferSet
from facebench.training.rig.buffers.extractors import EXTRACTORS, open_extractor
from facebench.training.rig.buffers.lmdb_buffers import LmdbBuffers, is_lmdb
from facebench.training.rig.buffers.writing import write_buffers

Buffers = BufferSet | LmdbBuffers
"""Training sets of rigs."""


def open_buffers(folder: Path, lmdb_source: str = "deca") -> Buffers:
    """Open a folder of `facebench buffers`, or an LMDB database of DiffusionRig-Emo.

    Args:
        folder: the folder.
        lmdb_source: extractor of the buffers in a database, which does not record it.

    Raises:
        InputError: the folder holds neither, or is damaged.
    """
    return LmdbBuffers(folder, lmdb_source) if is_lmdb(folder) else BufferSet(folder)


__all__ = [
    "EXTRACTORS",
    "BufferSet",
    "Buffers",
    "LmdbBuffers",
    "open_buffers",
    "open_extractor",
    "write_buffers",
]
