"""Progress of long computations, as one callback type."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, "int | None"], None]
"""Callback invoked with the name of the stage, the number of items done, and the total (None when unknown)."""


def no_progress(stage: str, done: int, total: int | None) -> None:
    """No-op progress callback."""
