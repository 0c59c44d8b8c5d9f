"""Physical buffers of faces - rendering, normals, albedo - from synthetic truth, DECA or EMOCA."""

from __future__ import annotations

from facebench.buffers.extractors import EXTRACTORS, open_extractor
from facebench.buffers.sets import BufferSet
from facebench.buffers.writing import write_buffers

__all__ = ["EXTRACTORS", "BufferSet", "open_extractor", "write_buffers"]
