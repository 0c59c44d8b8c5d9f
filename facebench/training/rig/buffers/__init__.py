"""Physical buffers of faces (rendering, normals, albedo), from synthetic parameters or from DECA and EMOCA."""

from __future__ import annotations

from facebench.training.rig.buffers.dataset import BufferSet
from facebench.training.rig.buffers.extractors import EXTRACTORS, open_extractor
from facebench.training.rig.buffers.writing import write_buffers

__all__ = ["EXTRACTORS", "BufferSet", "open_extractor", "write_buffers"]
