"""Tables of the feature store and the checksum of an entry."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

VERSION = 1
LAST_VERSION = 999
"""Largest format number of later versions of facebench; larger numbers are damage."""
SCHEMA = """
CREATE TABLE IF NOT EXISTS networks(
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, weights TEXT NOT NULL, preprocessing TEXT NOT NULL,
    UNIQUE(name, weights, preprocessing));
CREATE TABLE IF NOT EXISTS entries(
    id INTEGER PRIMARY KEY, network INTEGER NOT NULL, address BLOB NOT NULL, used INTEGER NOT NULL,
    size INTEGER NOT NULL, UNIQUE(network, address));
CREATE TABLE IF NOT EXISTS contents(id INTEGER PRIMARY KEY, checksum BLOB NOT NULL, data BLOB NOT NULL);
"""


@dataclass(frozen=True)
class Network:
    """Network that produced a result. Results are shared only if all three fields are equal."""

    name: str
    weights: str
    """sha256 of the weights."""
    preprocessing: str


def checksum(network: Network, address: bytes, data: bytes) -> bytes:
    """Return the checksum of an entry; it covers the address, so that swapped contents are detected."""
    digest = hashlib.blake2b(
        f"{network.name}\0{network.weights}\0{network.preprocessing}\0".encode(), digest_size=8
    )
    digest.update(address)
    digest.update(data)
    return digest.digest()
