"""What the file of the feature store looks like inside."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

VERSION = 1
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
    """What produced a result: a change of any of the three makes it another result."""

    name: str
    weights: str
    """sha256 of the weights."""
    preprocessing: str


def checksum(network: Network, address: bytes, data: bytes) -> bytes:
    """Covers the address too, so that an intact content under a wrong address is found."""
    digest = hashlib.blake2b(
        f"{network.name}\0{network.weights}\0{network.preprocessing}\0".encode(), digest_size=8
    )
    digest.update(address)
    digest.update(data)
    return digest.digest()
