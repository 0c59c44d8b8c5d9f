"""Reuse of freed memory between steps, which saves about a tenth of the time on CPUs."""

from __future__ import annotations

import ctypes
import platform

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_MAX = 2**31 - 1


def keep_freed_memory() -> bool:
    """Make glibc reuse large blocks; return whether that was possible.

    Each step allocates and frees the same large tensors. By default, glibc maps new pages for each of them, which the
    kernel fills with zeros.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    library = ctypes.CDLL(None)
    # No block is too large for the heap, and the heap is not trimmed.
    return bool(library.mallopt(_MMAP_THRESHOLD, _MAX)) and bool(library.mallopt(_TRIM_THRESHOLD, _MAX))
