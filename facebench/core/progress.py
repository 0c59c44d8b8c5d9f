"""Progress of long computations, as one callback type."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, "int | None"], None]
"""Callback invoked with the name of the stage, the number of items done, and the total (None when unknown)."""


def no_progress(stage: str, done: int, total: int | None) -> None:
    """No-op progress callback."""


def renamed(progress: Progress, stage: str) -> Progress:
    """Report progress under another stage name.

    Example:
        >>> renamed(lambda stage, done, total: print(stage, done, total), "reading")("decoding", 1, 2)
        reading 1 2
    """
    return lambda _, done, total: progress(stage, done, total)
