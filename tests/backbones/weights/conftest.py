"""A weights server, a second one, an empty cache folder, and a registry of three entries."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from facebench.backbones.weights import registry
from facebench.backbones.weights.registry import Entry
from tests.helpers.weights_files import BODY, SMALL, entry, pinned
from tests.helpers.weights_server import Site, serving

PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.delenv("FACEBENCH_OFFLINE", raising=False)
    with serving() as server:
        server.files["net.bin"] = BODY
        yield server


@pytest.fixture
def mirror(site: Site) -> Iterator[Site]:
    """A second server, which is another host because of its port."""
    with serving() as server:
        server.files["net.bin"] = BODY
        yield server


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FACEBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "weights"


@pytest.fixture
def shelf(site: Site, cache: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Entry]:
    """A registry with an open file, one for research only, and one with a manual download."""
    site.files["research.bin"] = SMALL
    shelved = {
        "net": pinned(site),
        "research": entry(
            site,
            name="research",
            backbones=("research", "both"),
            file="research.bin",
            urls=(site.url("research.bin"),),
            licence="CC-BY-NC-4.0",
            non_commercial=True,
        ),
        "hand": entry(
            site, name="hand", backbones=("hand",), file="hand.bin", urls=(), manual="Ask the authors."
        ),
    }
    monkeypatch.setattr(registry, "entries", lambda: shelved)
    return shelved
