"""`facebench store`: contents, verification and pruning of the feature store."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from facebench.cli.store import format_size, parse_size
from facebench.core.errors import InputError
from facebench.features.store.sqlite import Network, Store
from tests.cli.conftest import Command

NETWORK = Network("sface", "fb14", "v1")


def features(number: int) -> np.ndarray:
    return np.random.default_rng(number).standard_normal(2048).astype(np.float32)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Store:
    """A closed store of thirty results in the cache folder of the command."""
    monkeypatch.setenv("FACEBENCH_CACHE", str(tmp_path))
    store = Store()
    results = [(NETWORK, number.to_bytes(32, "big"), {"features": features(number)}) for number in range(30)]
    store.put(results)
    store.close()
    return store


def test_info_creates_no_store(facebench: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FACEBENCH_CACHE", str(tmp_path))
    assert "0 results" in facebench("store", "info").stdout
    assert not (tmp_path / "store").exists()


def test_info_names_networks_and_sizes(facebench: Command, store: Store) -> None:
    done = facebench("store", "info")
    assert "30 results" in done.stdout
    assert "sface" in done.stdout


def test_verify_removes_damaged_results_and_exits_with_1(facebench: Command, store: Store) -> None:
    assert facebench("store", "verify").returncode == 0
    content = bytearray(store.path.read_bytes())
    content[content.index(features(7).tobytes()[-16:])] ^= 1
    store.path.write_bytes(content)
    done = facebench("store", "verify")
    assert done.returncode == 1
    assert "29 results are intact, 1 were damaged" in done.stdout
    assert facebench("store", "verify").returncode == 0


def test_prune_needs_a_size(facebench: Command, store: Store) -> None:
    assert facebench("store", "prune").returncode == 2
    assert "30 results removed" in facebench("store", "prune", "--max-size", "1kB").stdout


@pytest.mark.parametrize(
    ("text", "count"), [("800MB", 800_000_000), ("2GiB", 2**31), ("12", 12), ("1.5 k", 1500)]
)
def test_sizes_are_parsed(text: str, count: int) -> None:
    assert parse_size(text) == count


def test_other_text_is_not_a_size() -> None:
    with pytest.raises(InputError, match="'much' is not a size"):
        parse_size("much")


@pytest.mark.parametrize(("count", "text"), [(12, "12 B"), (1500, "1.5 kB"), (2_500_000_000_000, "2.5 TB")])
def test_sizes_are_formatted(count: int, text: str) -> None:
    assert format_size(count) == text
