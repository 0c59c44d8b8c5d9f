"""SQL statements of the feature store."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence

from facebench.features.store.schema import Network

_ADDRESSES_PER_QUERY = 500
"""Below 999, the smallest common limit of SQLite on query parameters."""


def select_network_id(db: sqlite3.Connection, network: Network) -> int | None:
    """Return the id of a network; None if it is unknown."""
    row = db.execute(
        "SELECT id FROM networks WHERE name=? AND weights=? AND preprocessing=?",
        (network.name, network.weights, network.preprocessing),
    ).fetchone()
    return None if row is None else int(row[0])


def insert_network(db: sqlite3.Connection, network: Network) -> None:
    """Add a network."""
    db.execute(
        "INSERT INTO networks(name, weights, preprocessing) VALUES (?, ?, ?)",
        (network.name, network.weights, network.preprocessing),
    )


def select_entries(
    db: sqlite3.Connection, network_id: int, addresses: Sequence[bytes]
) -> Iterator[tuple[int, bytes, int, bytes, bytes]]:
    """Yield id, address, day of last use, checksum and data of the entries that exist."""
    for start in range(0, len(addresses), _ADDRESSES_PER_QUERY):
        block = addresses[start : start + _ADDRESSES_PER_QUERY]
        yield from db.execute(
            "SELECT id, address, used, checksum, data FROM entries JOIN contents USING (id) "
            f"WHERE network=? AND address IN ({','.join('?' * len(block))})",
            (network_id, *block),
        )


def upsert_entry(
    db: sqlite3.Connection, network_id: int | None, address: bytes, day: int, content: tuple[bytes, bytes]
) -> None:
    """Add or replace an entry.

    Args:
        db: connection within a transaction.
        network_id: id of the network.
        address: address of the entry.
        day: day of last use.
        content: checksum and data.
    """
    (identifier,) = db.execute(
        "INSERT INTO entries(network, address, used, size) VALUES (?, ?, ?, ?) "
        "ON CONFLICT DO UPDATE SET used=excluded.used, size=excluded.size RETURNING id",
        (network_id, address, day, len(content[1])),
    ).fetchone()
    db.execute("INSERT OR REPLACE INTO contents(id, checksum, data) VALUES (?, ?, ?)", (identifier, *content))
