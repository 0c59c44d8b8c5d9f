"""Lock file of the cache folder: origin and sha256 of every file, and accepted licences.

Some authors publish no fingerprint. The first copy of such a file is pinned here, and later copies must equal it.
"""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, ValidationError

from facebench.backbones.weights.disk import writable
from facebench.backbones.weights.registry import Entry
from facebench.core.errors import WeightsError
from facebench.core.files import atomic_write_text
from facebench.core.json_files import parse_json

NAME = "weights.lock.json"


class LockRecord(BaseModel):
    """Record of one file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sha256: str | None = None
    source: str = ""
    """URL or path of the original."""
    since: str = ""
    """Date of the record, UTC."""
    unofficial: bool = False
    """Whether the user imported other weights than the published ones with `--unofficial`."""
    licence_accepted: str = ""
    """Text of the accepted licence; empty when no consent was needed."""


def known(folder: Path, entry: Entry) -> LockRecord:
    """Return the record of an entry; an empty record when there is none.

    Raises:
        WeightsError: the lock file cannot be read.
    """
    return _read(folder / NAME).get(entry.name, LockRecord())


def pin(folder: Path, entry: Entry, sha256: str, source: str, *, unofficial: bool = False) -> None:
    """Record the sha256 and the origin of a file.

    Args:
        folder: cache folder.
        entry: registry entry of the file.
        sha256: of the file.
        source: URL or path of the original.
        unofficial: whether these are other weights than the published ones.

    Raises:
        WeightsError: the lock file cannot be read or written.
    """
    today = datetime.now(timezone.utc).strftime("%Y-%m-%d")
    _update(folder, entry, sha256=sha256, source=source, since=today, unofficial=unofficial)


def accept_licence(folder: Path, entry: Entry) -> None:
    """Record that the user accepted the licence of an entry."""
    _update(folder, entry, licence_accepted=entry.licence)


def licence_accepted(folder: Path, entry: Entry) -> bool:
    """Return whether the licence permits commercial use or was accepted before."""
    return not entry.non_commercial or known(folder, entry).licence_accepted == entry.licence


def _update(folder: Path, entry: Entry, **changes: str | bool) -> None:
    with writable(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{NAME}.lock"):
            records = _read(folder / NAME)
            records[entry.name] = records.get(entry.name, LockRecord()).model_copy(update=changes)
            content = {name: record.model_dump() for name, record in sorted(records.items())}
            atomic_write_text(folder / NAME, json.dumps(content, indent=2) + "\n")


def _read(path: Path) -> dict[str, LockRecord]:
    if not path.is_file():
        return {}
    try:
        content = parse_json(path.read_text(encoding="utf-8"))
        return {name: LockRecord(**fields) for name, fields in content.items()}
    except (ValueError, TypeError, AttributeError, ValidationError, OSError) as error:
        raise WeightsError(
            f"The lock file {path} cannot be read ({error}). Repair it, or delete it to pin all files again."
        ) from None
