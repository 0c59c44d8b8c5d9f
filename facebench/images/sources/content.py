"""Content of an image that is not a file of its own, and the members of an archive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

MAX_MEMBERS = 10_000_000
"""Largest number of images of one archive or array."""
MAX_SIDECAR = 2**20
"""Largest JSON or class file beside an image, in bytes."""
MAX_TABLE = 512 * 2**20
"""Largest manifest or `dataset.json` in an archive, in bytes."""


class Content(Protocol):
    """Bytes of one image, read on demand. Instances can be pickled."""

    def read(self, name: str, max_bytes: int) -> bytes:
        """Return the bytes of the image file.

        Args:
            name: name of the image for error messages.
            max_bytes: larger files are rejected before they are decompressed.

        Raises:
            ImageError: with the reason missing, unreadable, truncated or too_large.
        """
        ...


@dataclass
class Members:
    """Members of an archive before its layout is known."""

    contents: dict[str, Content] = field(default_factory=dict)
    """Content by member name, with forward slashes."""
    rejected: list[tuple[str, str, str]] = field(default_factory=list)
    """Name, reason and detail of the members that cannot be used."""
    columns: dict[str, Mapping[str, str]] = field(default_factory=dict)
    """Columns from the files beside an image, by member name without its suffixes."""


def unsafe(name: str) -> bool:
    """Whether a member name is absolute or leaves the archive.

    Example:
        >>> unsafe("a/b.png"), unsafe("../b.png"), unsafe("/b.png"), unsafe("C:/b.png")
        (False, True, True, True)
    """
    return name.startswith("/") or ".." in name.split("/") or name[1:2] == ":"
