"""Maintenance of the feature store: statistics, verification and pruning."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from facebench.features.store.damage import is_intact
from facebench.features.store.schema import Network, checksum


@dataclass(frozen=True)
class StoreInfo:
    """Statistics of a store."""

    path: Path
    bytes: int
    """Size of the database file and its write-ahead log."""
    entries: int
    networks: dict[Network, tuple[int, int]]
    """Number of entries and their total bytes, by network."""


def store_info(db: sqlite3.Connection, path: Path) -> StoreInfo:
    """Count entries and bytes by network.

    Args:
        db: connection to the store.
        path: database file, for its size on disk.
    """
    rows = db.execute(
        "SELECT CAST(name AS TEXT), CAST(weights AS TEXT), CAST(preprocessing AS TEXT), "
        "COUNT(*), SUM(CAST(size AS INTEGER)) FROM entries "
        "JOIN networks ON networks.id = entries.network GROUP BY networks.id ORDER BY name, weights"
    ).fetchall()
    networks = {Network(*row[:3]): (row[3], row[4]) for row in rows}
    files = (path.with_name(path.name + suffix) for suffix in ("", "-wal"))
    size = sum(file.stat().st_size for file in files if file.exists())
    return StoreInfo(path, size, sum(entries for entries, _ in networks.values()), networks)


def remove_damaged(db: sqlite3.Connection) -> tuple[int, int]:
    """Check every entry against its checksum and remove the damaged ones.

    Returns:
        The number of intact entries and the number of removed entries.

    Raises:
        sqlite3.DatabaseError: the database file itself is damaged.
    """
    if not is_intact(db):
        raise sqlite3.DatabaseError("database disk image is malformed")
    intact, damaged = 0, []
    rows = db.execute(
        "SELECT entries.id, name, weights, preprocessing, address, checksum, data FROM entries "
        "LEFT JOIN networks ON networks.id = entries.network "
        "LEFT JOIN contents ON contents.id = entries.id"
    )
    for identifier, name, weights, preprocessing, address, expected, data in rows:
        network = Network(name, weights, preprocessing)
        has_types = isinstance(address, bytes) and isinstance(data, bytes)
        if has_types and checksum(network, address, data) == expected:
            intact += 1
        else:
            damaged.append(identifier)
    if damaged:
        _delete(db, damaged)
    return intact, len(damaged)


def prune(db: sqlite3.Connection, max_bytes: int) -> int:
    """Remove the least recently used entries until the file is at most `max_bytes` long.

    Returns:
        The number of removed entries.
    """
    removed = 0
    while oldest := _least_recently_used(db, max_bytes):
        _delete(db, oldest)
        removed += len(oldest)
    db.executescript("PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(TRUNCATE)")
    return removed


def _least_recently_used(db: sqlite3.Connection, max_bytes: int) -> list[int]:
    """Return enough of the least recently used entries to shrink the file to `max_bytes`."""
    (page,), (pages,), (free,) = (
        db.execute(f"PRAGMA {name}").fetchone() for name in ("page_size", "page_count", "freelist_count")
    )
    occupied = page * (pages - free)
    (contents,) = db.execute("SELECT TOTAL(CAST(size AS INTEGER)) FROM entries").fetchone()
    excess = contents * (1 - max_bytes / occupied)
    selected: list[int] = []
    for identifier, size in db.execute("SELECT id, CAST(size AS INTEGER) FROM entries ORDER BY used, id"):
        if excess <= 0:
            break
        selected.append(identifier)
        excess -= size
    return selected


def _delete(db: sqlite3.Connection, identifiers: Sequence[int]) -> None:
    """Delete entries and their contents in one transaction."""
    db.execute("BEGIN IMMEDIATE")
    try:
        for table in ("entries", "contents"):
            db.executemany(f"DELETE FROM {table} WHERE id=?", [(identifier,) for identifier in identifiers])
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")
