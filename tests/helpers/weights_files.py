"""Files of weights and registry entries for tests of downloads and imports."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path
from typing import Any

import torch

from facebench.backbones.weights.registry import Entry
from tests.helpers.weights_server import Site


def checkpoint(value: float = 0.0, numbers: int = 262_144) -> bytes:
    """A PyTorch file of a state dict, about 1 MB by default."""
    stream = io.BytesIO()
    torch.save({"weight": torch.full((numbers,), value)}, stream)
    return stream.getvalue()


BODY = checkpoint()
OTHER = checkpoint(1.0)
SMALL = checkpoint(2.0, 4)


def entry(site: Site, **changes: Any) -> Entry:
    """A registry entry of `net.bin` on the server, without a fingerprint."""
    fields: dict[str, Any] = {
        "name": "net",
        "about": "a network",
        "backbones": ("net",),
        "file": "net.bin",
        "format": "torch",
        "licence": "MIT",
        "home": "http://localhost/home",
        "urls": (site.url("net.bin"),),
    }
    return Entry(**{**fields, **changes})


def pinned(site: Site, body: bytes = BODY, **changes: Any) -> Entry:
    """The same entry with the sha256 of a body."""
    return entry(site, sha256=hashlib.sha256(body).hexdigest(), fingerprint="this test", **changes)


def leftovers(cache: Path) -> list[str]:
    """Names of the files in the cache folder, without locks."""
    return sorted(p.name for p in cache.iterdir() if not p.name.endswith(".lock"))


def archive(names: dict[str, bytes]) -> bytes:
    """A zip archive of files by name."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, body in names.items():
            opened.writestr(name, body)
    return stream.getvalue()
