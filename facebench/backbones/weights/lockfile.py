"""The lock file: what was put into the cache folder, from where and when, and which licences were accepted.

For a file whose authors publish no fingerprint, the first copy is trusted and later ones must equal it.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, ValidationError

from facebench.backbones.weights.registry import Entry
from facebench.core.errors import WeightsError

NAME = "weights.lock.json"
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Known(BaseModel):
    """What the lock file says about one file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sha256: str | None = None
    source: str = ""
    """Address or path it was copied from."""
    since: str = ""
    unofficial: bool = False
    """Somebody put another file in the place of the published one, knowingly."""
    licence_accepted: str = ""
    """The licence as it was shown, empty when nobody was asked."""


def known(folder: Path, entry: Entry) -> Known:
    """What the lock file says about an entry; all empty when nothing.

    Raises:
        WeightsError: the lock file cannot be read.
    """
    return _read(folder / NAME).get(entry.name, Known())


def trust(folder: Path, entry: Entry, sha256: str, source: str, *, unofficial: bool = False) -> None:
    """Remember the fingerprint of a file that was fetched, imported or found for the first time."""
    today = datetime.now(timezone.utc).strftime("%Y-%m-%d")
    _update(folder, entry, sha256=sha256, source=source, since=today, unofficial=unofficial)


def accept_licence(folder: Path, entry: Entry) -> None:
    """Remember that the licence was shown and accepted."""
    _update(folder, entry, licence_accepted=entry.licence)


def licence_accepted(folder: Path, entry: Entry) -> bool:
    """Whether the licence needs no question: a commercial use is allowed, or it was accepted before."""
    return not entry.non_commercial or known(folder, entry).licence_accepted == entry.licence


def _update(folder: Path, entry: Entry, **changes: str | bool) -> None:
    with writable(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{NAME}.lock"):
            content = _read(folder / NAME)
            content[entry.name] = content.get(entry.name, Known()).model_copy(update=changes)
            fresh = folder / f"{NAME}.{os.getpid()}.tmp"
            lines = {name: one.model_dump() for name, one in sorted(content.items())}
            fresh.write_text(json.dumps(lines, indent=2) + "\n", encoding="utf-8")
            fresh.replace(folder / NAME)


def _read(path: Path) -> dict[str, Known]:
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {name: Known(**fields) for name, fields in content.items()}
    except (ValueError, TypeError, AttributeError, ValidationError, OSError) as error:
        raise WeightsError(
            f"The lock file {path} cannot be read ({error}). Repair it, or delete it to trust all files anew."
        ) from None


@contextmanager
def writable(folder: Path) -> Iterator[None]:
    """Turn what goes wrong when writing into the cache folder into words.

    Raises:
        WeightsError: the folder cannot be written to, or there is no space left.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in _NO_SPACE:
            raise WeightsError(
                f"No space left for weights in {folder} ({reason}). Free some, or set FACEBENCH_CACHE to a "
                "folder on a larger disk; what was fetched so far is kept and continued."
            ) from None
        raise WeightsError(
            f"The cache folder {folder} cannot be written to ({reason}). "
            "Set FACEBENCH_CACHE to a folder that can."
        ) from None
