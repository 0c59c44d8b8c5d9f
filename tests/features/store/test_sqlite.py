"""The feature store returns what was stored and survives damage to its files."""

from __future__ import annotations

import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from facebench.core.errors import StoreError
from facebench.features.store import locks
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


def change(store: Store, *statements: str) -> None:
    """Change the database file with SQLite itself."""
    store.close()
    with closing(sqlite3.connect(store.path)) as db, db:
        db.execute("PRAGMA writable_schema=ON")
        for statement in statements:
            db.execute(statement)


def assert_heals(store: Store) -> None:
    """The store can be read, written and verified, and then holds new results."""
    addresses = [address(i) for i in range(20)]
    store.get(SFACE, addresses)
    fill(store, 20)
    store.info()
    store.verify()
    again = Store(store.folder)
    fill(again, 20)
    assert len(again.get(SFACE, addresses)) == 20
    assert again.verify() == (20, 0)
    assert again.warnings == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE contents SET data='text'",
        "UPDATE contents SET data=17 WHERE id=3",
        "UPDATE contents SET checksum='text'",
        "UPDATE entries SET used='yesterday', size='large'",
        "UPDATE entries SET address='text' WHERE id=3",
        "UPDATE networks SET name=x'ff00', weights=17",
        "UPDATE networks SET name=CAST(x'ff41' AS TEXT)",
        "DELETE FROM contents WHERE id>3",
        "DELETE FROM networks",
    ],
)
def test_values_of_wrong_types_are_computed_again(store: Store, statement: str) -> None:
    fill(store, 20)
    change(store, statement)
    assert_heals(store)


@pytest.mark.parametrize("table", ["networks", "entries", "contents"])
def test_a_lost_table_is_damage(store: Store, table: str) -> None:
    fill(store, 20)
    change(store, f"DROP TABLE {table}")
    store.get(SFACE, [address(0)])
    assert "It was renamed to" in store.warnings[0]
    assert_heals(store)


def test_a_lost_column_is_damage(store: Store) -> None:
    fill(store, 20)
    change(store, "ALTER TABLE contents RENAME COLUMN data TO other")
    assert_heals(store)


def test_a_schema_that_is_not_utf8_is_damage(store: Store) -> None:
    fill(store, 20)
    store.close()
    content = store.path.read_bytes()
    store.path.write_bytes(content.replace(b"CREATE TABLE contents", b"CREATE TAB\xff\xfe contents"))
    assert_heals(store)
    assert "It was renamed to" in store.warnings[0]


def test_damaged_indexes_are_rebuilt(store: Store) -> None:
    fill(store, 20)
    change(store, "PRAGMA wal_checkpoint(TRUNCATE)")
    with closing(sqlite3.connect(store.path)) as db:
        (page,) = db.execute(
            "SELECT rootpage FROM sqlite_master WHERE name='sqlite_autoindex_entries_1'"
        ).fetchone()
        (size,) = db.execute("PRAGMA page_size").fetchone()
    content = bytearray(store.path.read_bytes())
    header = (page - 1) * size
    content[header + 3 : header + 5] = (5).to_bytes(2, "big")  # the index lists 5 of 20 entries
    store.path.write_bytes(content)
    assert store.verify() == (0, 0)
    assert store.warnings == [f"The indexes of the feature store {store.path} were damaged and are rebuilt."]
    assert len(store.get(SFACE, [address(i) for i in range(20)])) == 20
    assert store.verify() == (20, 0)


HOLDER = """
import fcntl, sys, time
file = open(sys.argv[1], "w")
fcntl.flock(file, fcntl.LOCK_EX)
print("locked", flush=True)
time.sleep(100)
"""


def test_a_held_lock_is_reported_with_its_process(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "TIMEOUT_SECONDS", 0.2)
    command = [sys.executable, "-c", HOLDER, str(store.folder / "create.lock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "locked\n"
        try:
            for _ in range(2):
                with pytest.raises(StoreError, match=rf"create\.lock .* is held by process {holder.pid} "):
                    store.get(SFACE, [address(0)])
        finally:
            holder.kill()
    fill(Store(store.folder), 1)


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
