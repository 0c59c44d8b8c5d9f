"""Atomic replacement of files: readers see the old content or the new content, never a part."""

from __future__ import annotations

import os
import re
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from facebench.core.errors import InputError

_PREFIX = ".facebench-tmp-"
_PATTERN = re.compile(re.escape(_PREFIX) + r"(?P<host>[^.]*)\.(?P<process>\d+)\.[0-9a-f]+(\..*)?")
_STALE_SECONDS = 24 * 3600
"""Age after which a temporary file of another machine is removed."""
_UNSAFE = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|\ud800-\udfff]')
"""Characters that a file name cannot hold on some system."""
_MAX_NAME_BYTES = 200
_cleaned: set[Path] = set()
"""Folders without stale temporary files."""


@contextmanager
def atomic_path(target: str | Path) -> Iterator[Path]:
    """Yield a temporary path that replaces the target when the block ends without an exception.

    The temporary file lies in the folder of the target and has the suffix of the target. It is flushed to disk
    before the replacement and removed after an exception. Temporary files of killed processes in the same folder
    are removed before the first write of this process to the folder.

    Args:
        target: file to write; its folder must exist.

    Raises:
        InputError: the target exists and is not a regular file.
        OSError: the file cannot be written.

    Example:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp()) / "log.csv"
        >>> with atomic_path(target) as temporary:
        ...     _ = temporary.write_text("step,loss")
        >>> target.read_text()
        'step,loss'
    """
    # A link keeps pointing to its file, whose content is replaced.
    target = Path(target).resolve() if Path(target).is_symlink() else Path(target)
    if target.exists() and not target.is_file():
        raise InputError(f"{target} is not a regular file and is not replaced. Choose another file.")
    _clean_once(target.parent)
    temporary = target.parent / f"{_PREFIX}{_host()}.{os.getpid()}.{secrets.token_hex(4)}{target.suffix}"
    try:
        yield temporary
        _flush_to_disk(temporary)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def check_regular(path: Path) -> None:
    """Refuse to read a pipe, socket or device, from which reading may never end.

    Raises:
        InputError: the path exists and is neither a regular file nor a folder.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise InputError(f"{path} is not a regular file and is not read. Give a file.")


def atomic_write_text(target: str | Path, text: str) -> None:
    """Replace a file by UTF-8 text, atomically."""
    with atomic_path(target) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def atomic_write_bytes(target: str | Path, content: bytes) -> None:
    """Replace a file by bytes, atomically."""
    with atomic_path(target) as temporary:
        temporary.write_bytes(content)


def safe_file_name(text: str) -> str:
    """Return a text as the name of one file or folder: no separators, no leading dots, at most 200 bytes.

    Example:
        >>> safe_file_name("../a/b: c")
        '_a_b_ c'
    """
    name = _UNSAFE.sub("_", text).lstrip(".").rstrip(" .")
    return name.encode("utf-8", "replace")[:_MAX_NAME_BYTES].decode("utf-8", "ignore") or "_"


def _clean_once(folder: Path) -> None:
    """Remove stale temporary files of a folder, once for each process: a scan for every write would be quadratic."""
    if folder not in _cleaned:
        _cleaned.add(folder)
        remove_stale_temporaries(folder)


def remove_stale_temporaries(folder: Path) -> None:
    """Remove temporary files that processes left in a folder when they were killed.

    A temporary file of this machine is stale when its process is gone. A temporary file of another machine is
    stale after one day.
    """
    with suppress(OSError):
        for entry in os.scandir(folder):
            match = _PATTERN.fullmatch(entry.name)
            if match and _is_stale(entry, match):
                with suppress(OSError):
                    Path(entry.path).unlink()


def _is_stale(entry: os.DirEntry[str], match: re.Match[str]) -> bool:
    if match["host"] == _host():
        return not _is_running(int(match["process"]))
    return time.time() - entry.stat().st_mtime > _STALE_SECONDS


def _is_running(process: int) -> bool:
    if os.name == "nt":
        return True  # os.kill would end the process there; only the age decides
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())[:40]


def _flush_to_disk(path: Path) -> None:
    with path.open("r+b") as file:
        os.fsync(file.fileno())
