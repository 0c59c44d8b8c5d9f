"""Setting of the C library's allocator for networks on the CPU."""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's `mallopt` (malloc.h)."""
KEPT = 1 << 29
"""Freed memory in bytes that the process keeps."""


def keep_freed_memory() -> bool:
    """Keep up to 512 MiB of freed memory for later arrays; False where the C library has no such setting.

    glibc returns large arrays to the system at once. Every layer of a network then receives new pages, which the
    system fills with zeros: a fifth of the time of a network.
    """
    if not sys.platform.startswith("linux"):
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallopt"):  # musl
        return False
    return bool(library.mallopt(_MMAP_THRESHOLD, KEPT) and library.mallopt(_TRIM_THRESHOLD, KEPT))
