"""File locks with a timeout, and the process that holds them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from facebench.core.errors import StoreError

TIMEOUT_SECONDS = 10.0
"""Creating or repairing a store takes far less time."""
_LOCK_TABLE = Path("/proc/locks")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock on a file.

    Raises:
        StoreError: another process holds the lock for longer than the timeout.
    """
    try:
        with FileLock(path, timeout=TIMEOUT_SECONDS):
            yield
    except Timeout:
        raise StoreError(
            f"The lock {path} of the feature store is held by {_describe_holder(path)}. Wait until it has finished, "
            "or end it."
        ) from None


def _describe_holder(path: Path) -> str:
    process = holder_of(path)
    if process is None:
        return "another process"
    try:
        command = (Path("/proc") / str(process) / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    except (OSError, UnicodeDecodeError):
        return f"process {process}"
    return f"process {process} ({command.strip()[:80]})"


def holder_of(path: Path) -> int | None:
    """Return the id of the process that holds a lock on a file; None if unknown (only Linux reports it)."""
    try:
        info = path.stat()
        lines = _LOCK_TABLE.read_text().splitlines()
    except OSError:
        return None
    file = f"{os.major(info.st_dev):02x}:{os.minor(info.st_dev):02x}:{info.st_ino}"
    for line in lines:
        fields = line.split()
        if len(fields) >= 6 and fields[5] == file and fields[1] != "->" and fields[4].isdigit():
            return int(fields[4]) or None  # 0 is a process outside this container
    return None
