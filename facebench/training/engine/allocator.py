"""Keep freed memory for the next step: returning it to the system and asking again costs a tenth of the time."""

from __future__ import annotations

import ctypes
import platform

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_MOST = 2**31 - 1


def keep_freed_memory() -> bool:
    """Tell the C library to reuse large blocks; returns whether it took it (glibc does, others need not).

    Every training step allocates and frees the same large tensors. By default glibc maps each anew, and the
    system fills every page with zeros.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    library = ctypes.CDLL(None)
    # A single block may be larger than the threshold allows by default; trimming waits until the process ends.
    return bool(library.mallopt(_MMAP_THRESHOLD, _MOST)) and bool(library.mallopt(_TRIM_THRESHOLD, _MOST))
