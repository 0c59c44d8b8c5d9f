"""The feature store returns what was stored and survives damage to its files."""

from __future__ import annotations

import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from typer.testing import CliRunner

from facebench.commands.store import app, parse_size, show_size
from facebench.core.errors import InputError, StoreError
from facebench.features.store.serialisation import deserialise, serialise
from facebench.features.store.sqlite import Network, Store, default_folder
from tests.helpers.paths import REPOSITORY

SFACE = Network("sface", "fb14", "v1")


def result(seed: int, width: int = 2048) -> dict[str, np.ndarray]:
    return {"features": np.random.default_rng(seed).standard_normal(width).astype(np.float32)}


def address(number: int) -> bytes:
    return number.to_bytes(32, "big")


def fill(store: Store, count: int, network: Network = SFACE) -> None:
    store.put([(network, address(i), result(i)) for i in range(count)])


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


@given(
    st.dictionaries(
        st.text(max_size=8),
        hnp.arrays(
            st.sampled_from([np.float32, np.float64, np.int32]), hnp.array_shapes(min_dims=0, min_side=0)
        ),
        max_size=3,
    )
)
@settings(max_examples=50, deadline=None)
def test_serialised_arrays_are_restored_bit_for_bit(arrays: dict[str, np.ndarray]) -> None:
    restored = deserialise(serialise(arrays))
    assert list(restored) == list(arrays)
    for name, value in arrays.items():
        assert restored[name].dtype == value.dtype
        assert restored[name].shape == value.shape
        assert restored[name].tobytes() == value.tobytes()


def test_stored_results_are_available_to_the_next_process(tmp_path: Path) -> None:
    Store(tmp_path).put([(SFACE, address(1), result(1))])
    results = Store(tmp_path).get(SFACE, [address(1), address(2)])
    assert list(results) == [address(1)]
    np.testing.assert_array_equal(results[address(1)]["features"], result(1)["features"])


@pytest.mark.parametrize(
    "other", [Network("sface", "fb14", "v2"), Network("sface", "aaaa", "v1"), Network("x", "fb14", "v1")]
)
def test_another_network_weights_or_preprocessing_has_no_results(store: Store, other: Network) -> None:
    fill(store, 3)
    fill(store, 1, Network("lite0", "5793", "v1"))
    assert store.get(other, [address(0), address(1)]) == {}


def test_a_later_result_replaces_the_earlier_one(store: Store) -> None:
    store.put([(SFACE, address(1), result(1))])
    store.put([(SFACE, address(1), result(7))])
    np.testing.assert_array_equal(
        store.get(SFACE, [address(1)])[address(1)]["features"], result(7)["features"]
    )
    assert store.info().entries == 1


def test_one_call_returns_many_results(store: Store) -> None:
    store.put([(SFACE, address(i), {"norm": np.float32([i])}) for i in range(1300)])
    results = store.get(SFACE, [address(i) for i in range(2000)])
    assert {int(value["norm"][0]) for value in results.values()} == set(range(1300))


def test_a_failed_transaction_writes_nothing(store: Store) -> None:
    with pytest.raises(AttributeError):
        store.put([(SFACE, address(1), result(1)), (SFACE, address(2), None)])  # type: ignore[list-item]
    assert store.get(SFACE, [address(1)]) == {}
    fill(store, 2)
    assert len(store.get(SFACE, [address(0), address(1)])) == 2


def test_a_flipped_bit_is_detected_and_reported(store: Store) -> None:
    fill(store, 20)
    data = result(7)["features"].tobytes()
    flip_on_disk(store, data[: len(data) // 2][-16:])
    results = store.get(SFACE, [address(i) for i in range(20)])
    assert len(results) == 19
    assert address(7) not in results
    assert store.warnings == ["Damaged results of sface are computed again: 1."]
    assert store.verify() == (19, 1)
    assert store.verify() == (19, 0)


def flip_on_disk(store: Store, pattern: bytes) -> None:
    """Flip a bit of `pattern` in the database file, without SQLite."""
    store.close()
    content = bytearray(store.path.read_bytes())
    at = content.index(pattern)
    content[at] ^= 1
    store.path.write_bytes(content)


def test_a_result_at_a_wrong_address_is_detected(store: Store) -> None:
    fill(store, 2)
    store.close()
    with sqlite3.connect(store.path) as db:
        db.execute("UPDATE contents SET id = 3 - id + 100")
        db.execute("UPDATE contents SET id = id - 100")
    assert store.get(SFACE, [address(0), address(1)]) == {}
    assert store.verify() == (0, 2)


@pytest.mark.parametrize("damage", ["header", "middle", "cut", "text", "empty"])
def test_a_damaged_file_is_renamed_and_replaced(store: Store, damage: str) -> None:
    fill(store, 50)
    store.close()
    content = bytearray(store.path.read_bytes())
    if damage == "header":
        content[:100] = os.urandom(100)
    elif damage == "middle":
        content[4096:-4096] = b"\xff" * (len(content) - 2 * 4096)
    elif damage == "cut":
        del content[len(content) // 3 :]
    else:
        content[:] = b"not a database, and long enough to look like one" * 100 if damage == "text" else b""
    store.path.write_bytes(content)
    store.get(SFACE, [address(i) for i in range(50)])
    fill(store, 50)
    assert len(Store(store.folder).get(SFACE, [address(i) for i in range(50)])) == 50
    if damage != "empty":
        assert "It was renamed to" in store.warnings[0]
        assert [path for path in store.folder.iterdir() if ".damaged-" in path.name]


def test_a_store_of_another_format_is_not_changed(store: Store) -> None:
    fill(store, 1)
    store.close()
    with sqlite3.connect(store.path) as db:
        db.execute("PRAGMA user_version=99")
    with pytest.raises(StoreError, match=r"format 99; this facebench reads format 1.*FACEBENCH_CACHE"):
        store.get(SFACE, [address(0)])


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """Provide a folder to an unprivileged user, even if the tests run as root."""
    root = os.geteuid() == 0
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        if root:
            os.chown(folder, 65534, 65534)
            os.seteuid(65534)
        try:
            yield Path(folder)
        finally:
            if root:
                os.seteuid(0)
            Path(folder).chmod(0o755)


def test_a_read_only_store_is_read_but_not_written(unprivileged: Path) -> None:
    store = Store(unprivileged)
    fill(store, 3)
    store.close()
    store.path.chmod(0o444)
    unprivileged.chmod(0o555)
    assert len(store.get(SFACE, [address(i) for i in range(3)])) == 3
    with pytest.raises(StoreError, match=r"read-only.*FACEBENCH_CACHE"):
        fill(store, 4)


def test_a_folder_that_cannot_be_created_is_named(unprivileged: Path) -> None:
    unprivileged.chmod(0o555)
    with pytest.raises(StoreError, match=r"sub/features.sqlite.*FACEBENCH_CACHE"):
        fill(Store(unprivileged / "sub"), 1)


def test_a_full_disk_is_an_error_and_keeps_earlier_results(store: Store) -> None:
    fill(store, 5)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (store.info().bytes + 40_000, hard))
    try:
        with pytest.raises(StoreError, match="disk space"):
            store.put([(SFACE, address(i), result(i)) for i in range(100, 200)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    again = Store(store.folder)
    assert len(again.get(SFACE, [address(i) for i in range(200)])) == 5
    assert again.verify() == (5, 0)


WRITER = """
import sys
from tests.features.store.test_sqlite import SFACE, Store, address, result
store = Store(sys.argv[1])
for start in range(int(sys.argv[2]), int(sys.argv[3]), 5):
    store.put([(SFACE, address(i), result(i)) for i in range(start, start + 5)])
    store.get(SFACE, [address(i) for i in range(start)])
"""


def test_two_processes_write_to_one_store(store: Store) -> None:
    ranges = [(0, 100), (50, 150)]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(store.folder), str(low), str(high)],
            cwd=REPOSITORY,
        )
        for low, high in ranges
    ]
    assert [process.wait(timeout=100) for process in processes] == [0, 0]
    results = store.get(SFACE, [address(i) for i in range(200)])
    assert len(results) == 150
    for i in (0, 75, 149):
        np.testing.assert_array_equal(results[address(i)]["features"], result(i)["features"])
    assert store.verify() == (150, 0)


def test_prune_removes_the_least_recently_used_results(store: Store) -> None:
    fill(store, 300)
    store.close()
    with sqlite3.connect(store.path) as db:  # as if written long ago
        db.execute("UPDATE entries SET used = 100 + id")
    recent = [address(i) for i in range(10)]
    store.get(SFACE, recent)
    before = store.info().bytes
    removed = store.prune(1_000_000)
    after = store.info()
    assert before > 2_400_000
    assert after.bytes <= 1_000_000
    assert after.entries == 300 - removed > 50
    assert len(store.get(SFACE, recent)) == 10
    assert len(store.get(SFACE, [address(299), address(298)])) == 2
    assert store.get(SFACE, [address(11)]) == {}
    assert store.prune(0) == 300 - removed
    assert store.prune(0) == 0


def test_the_cache_folder_can_be_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FACEBENCH_CACHE", str(tmp_path))
    assert default_folder() == tmp_path / "store"
    monkeypatch.delenv("FACEBENCH_CACHE")
    assert default_folder().parts[-2:] == ("facebench", "store")


def test_the_commands_show_verify_and_prune_the_store(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FACEBENCH_CACHE", str(tmp_path))
    run = CliRunner().invoke
    assert "0 results" in run(app, ["info"]).output
    assert not (tmp_path / "store").exists()
    store = Store()
    fill(store, 30)
    store.close()
    output = run(app, ["info"]).output
    assert "30 results" in output
    assert "sface" in output
    assert run(app, ["verify"]).exit_code == 0
    flip_on_disk(store, result(7)["features"].tobytes()[-16:])
    damaged = run(app, ["verify"])
    assert "29 results are sound, 1 were damaged" in damaged.output
    assert damaged.exit_code == 1
    assert "29 results removed" in run(app, ["prune", "--max-size", "1kB"]).output
    assert run(app, ["prune"]).exit_code == 2


@pytest.mark.parametrize(
    ("text", "count"), [("800MB", 800_000_000), ("2GiB", 2**31), ("12", 12), ("1.5 k", 1500)]
)
def test_sizes_are_parsed(text: str, count: int) -> None:
    assert parse_size(text) == count


def test_an_invalid_size_is_rejected() -> None:
    with pytest.raises(InputError, match="'much' is not a size"):
        parse_size("much")


@pytest.mark.parametrize(("count", "text"), [(12, "12 B"), (1500, "1.5 kB"), (2_500_000_000_000, "2.5 TB")])
def test_sizes_are_formatted(count: int, text: str) -> None:
    assert show_size(count) == text
