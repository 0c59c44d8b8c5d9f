"""Looking after the feature store: counting, checking and shrinking it."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from facebench.features.store.schema import Network, checksum


@dataclass(frozen=True)
class StoreInfo:
    """What a store holds."""

    path: Path
    bytes: int
    entries: int
    networks: dict[Network, tuple[int, int]]
    """Number of entries and their bytes, for each network."""


def count(db: sqlite3.Connection, path: Path) -> StoreInfo:
    """Count what is stored, by network; `path` is where the file lies."""
    rows = db.execute(
        "SELECT name, weights, preprocessing, COUNT(*), SUM(size) FROM entries "
        "JOIN networks ON networks.id = entries.network GROUP BY networks.id ORDER BY name, weights"
    ).fetchall()
    networks = {Network(*row[:3]): (row[3], row[4]) for row in rows}
    parts = (path.with_name(path.name + suffix) for suffix in ("", "-wal"))
    size = sum(part.stat().st_size for part in parts if part.exists())
    return StoreInfo(path, size, sum(entries for entries, _ in networks.values()), networks)


def remove_damaged(db: sqlite3.Connection) -> tuple[int, int]:
    """Check every entry against its checksum; the number of sound ones, and of removed ones.

    Raises:
        sqlite3.DatabaseError: the file itself is damaged.
    """
    if db.execute("PRAGMA quick_check").fetchone() != ("ok",):
        raise sqlite3.DatabaseError("database disk image is malformed")
    sound, damaged = 0, []
    rows = db.execute(
        "SELECT entries.id, name, weights, preprocessing, address, checksum, data FROM entries "
        "LEFT JOIN networks ON networks.id = entries.network "
        "LEFT JOIN contents ON contents.id = entries.id"
    )
    for identifier, name, weights, preprocessing, address, expected, data in rows:
        network = Network(name, weights, preprocessing)
        if data is not None and checksum(network, address, data) == expected:
            sound += 1
        else:
            damaged.append(identifier)
    if damaged:
        _delete(db, damaged)
    return sound, len(damaged)


def prune(db: sqlite3.Connection, max_bytes: int) -> int:
    """Remove the entries unused for longest until the file is at most `max_bytes` long; their number."""
    removed = 0
    while oldest := _oldest(db, max_bytes):
        _delete(db, oldest)
        removed += len(oldest)
    db.executescript("PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(TRUNCATE)")
    return removed


def _oldest(db: sqlite3.Connection, max_bytes: int) -> list[int]:
    """Entries used longest ago, as many as the file is too long (none when it is not)."""
    (page,), (pages,), (free,) = (
        db.execute(f"PRAGMA {name}").fetchone() for name in ("page_size", "page_count", "freelist_count")
    )
    taken = page * (pages - free)
    (contents,) = db.execute("SELECT TOTAL(size) FROM entries").fetchone()
    excess = contents * (1 - max_bytes / taken)
    chosen: list[int] = []
    for identifier, size in db.execute("SELECT id, size FROM entries ORDER BY used, id"):
        if excess <= 0:
            break
        chosen.append(identifier)
        excess -= size
    return chosen


def _delete(db: sqlite3.Connection, identifiers: Sequence[int]) -> None:
    """Remove entries and their contents in one transaction."""
    db.execute("BEGIN IMMEDIATE")
    try:
        for table in ("entries", "contents"):
            db.executemany(f"DELETE FROM {table} WHERE id=?", [(identifier,) for identifier in identifiers])
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")
