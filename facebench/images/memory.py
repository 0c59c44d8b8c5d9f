"""Memory budget of decoding, shared by all threads of a process."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from facebench.images.errors import ImageError

BYTES_PER_PIXEL = 20
"""Upper bound on the memory of decoding one image, in bytes per pixel (docs/images.md)."""
_FRACTION = 0.5
"""Fraction of the memory of the machine that decoding may use."""
_FALLBACK = 4 * 2**30
"""Assumed memory of a machine that does not report it."""
_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


class MemoryBudget:
    """Limits the memory of concurrent decoding: a thread waits until its image fits.

    Args:
        total: bytes that may be reserved at the same time.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self._free = total
        self._changed = threading.Condition()

    @contextmanager
    def reserve(self, size: tuple[int, int], name: str) -> Iterator[None]:
        """Reserve memory for an image of `size` (width, height).

        Raises:
            ImageError: the image needs more memory than the whole budget.
        """
        width, height = size
        needed = BYTES_PER_PIXEL * width * height
        if needed > self.total:
            raise ImageError(
                "too_large",
                f"{width}x{height} pixels need {needed / 1e9:.1f} GB to decode; this machine allows "
                f"{self.total / 1e9:.1f} GB",
                name,
            )
        with self._changed:
            self._changed.wait_for(lambda: self._free >= needed)
            self._free -= needed
        try:
            yield
        finally:
            with self._changed:
                self._free += needed
                self._changed.notify_all()


def machine_memory() -> int:
    """Return the memory of the machine, or of the control group if that is smaller, in bytes."""
    limits = [limit for path in _CGROUP_LIMITS if (limit := _read_limit(Path(path))) is not None]
    try:
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):
        limits.append(_FALLBACK)
    return min(limits)


def _read_limit(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # no control group, or "max"
        return None


BUDGET = MemoryBudget(int(_FRACTION * machine_memory()))
"""Budget of this process."""
