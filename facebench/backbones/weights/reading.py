"""Boundary around third-party readers of weight files, and limits that are checked before they run."""

from __future__ import annotations

import pickle
import pickletools
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from facebench.core.errors import FacebenchError, WeightsError

REMEDY = "Compare its size with the published size and download it again."
_INFLATION = 16
"""Largest ratio of the unpacked size of an archive to its size; checkpoints are stored uncompressed."""
_SMALL = 1 << 20
"""Unpacked size in bytes that is accepted at any ratio."""


@contextmanager
def reading(path: Path, what: str, remedy: str = REMEDY) -> Iterator[None]:
    """Turn every exception of a third-party reader into a `WeightsError` that names the file.

    Damaged files raise exceptions of any type: AssertionError, IndexError and struct.error of PyTorch, BadZipFile,
    UnicodeDecodeError. The block contains only the call of the reader, so that errors of facebench stay visible.

    Args:
        path: the file that is read.
        what: description of the expected content, with its article.
        remedy: what the user can do.

    Raises:
        WeightsError: the reader failed. A `FacebenchError` passes unchanged.
    """
    try:
        yield
    except FacebenchError:
        raise
    except Exception as error:
        raise WeightsError(f"{path} cannot be read as {what}: {first_line(error)}. {remedy}") from error


def first_line(error: Exception, length: int = 200) -> str:
    """Return the first line of an error message, without the final full stop."""
    lines = str(error).splitlines()
    return lines[0][:length].rstrip(".") if lines and lines[0] else type(error).__name__


def archive_members(path: Path) -> list[str]:
    """Return the names of the members of a zip archive; empty when the file is not a readable zip archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except Exception:  # zipfile raises BadZipFile, UnicodeDecodeError, OSError and struct.error
        return []


def refuse_inflating_archive(path: Path) -> None:
    """Refuse a zip archive whose members unpack to many times its size.

    Raises:
        WeightsError: the archive unpacks to more than 16 times its size.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
    except Exception:
        return  # Not a zip archive, or a damaged one, which the reader reports.
    size = path.stat().st_size
    if unpacked > max(_SMALL, _INFLATION * size):
        raise WeightsError(
            f"{path} is refused: its {size:,} bytes unpack to {unpacked:,}. Checkpoints are not compressed."
        )


def check_pickle(data: bytes) -> None:
    """Check the structure of a pickle without executing it.

    The C unpickler allocates a table as large as the highest memo index, so a forged index exhausts the memory.

    Raises:
        pickle.UnpicklingError: a memo index exceeds the length of the pickle.
        ValueError: the pickle is damaged or truncated.
    """
    for operation, argument, _ in pickletools.genops(data):
        if operation.name in _PUTS and not 0 <= int(argument or 0) <= len(data):
            raise pickle.UnpicklingError(f"memo index {argument} in a pickle of {len(data)} bytes")


_PUTS = ("PUT", "BINPUT", "LONG_BINPUT")
