"""Damaged store files: the results are right or missing, and the store heals."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from facebench.core.errors import StoreError
from facebench.features.store.sqlite import Network, Store
from tests.helpers.mutator import cases, mutate, within

NETWORK = Network("net", "w" * 64, "v1")
ADDRESSES = [number.to_bytes(32, "big") for number in range(30)]
ROWS = {
    address: np.random.default_rng(number).standard_normal(200).astype(np.float32)
    for number, address in enumerate(ADDRESSES)
}
RESULTS = [(NETWORK, address, {"rows": row}) for address, row in ROWS.items()]


@pytest.fixture(scope="module")
def intact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = Store(tmp_path_factory.mktemp("store"))
    store.put(RESULTS)
    store.close()
    return store.folder


def assert_right(store: Store) -> int:
    """Compare what the store returns with what was stored; return the number of results."""
    results = store.get(NETWORK, ADDRESSES)
    for address, arrays in results.items():
        assert np.array_equal(arrays["rows"], ROWS[address])
    return len(results)


def test_a_damaged_store_has_right_results_or_none_and_heals(intact: Path, tmp_path: Path) -> None:
    data = (intact / "features.sqlite").read_bytes()
    for seed in cases(100):
        folder = tmp_path / f"{seed}"
        shutil.copytree(intact, folder)
        (folder / "features.sqlite").write_bytes(mutate(data, seed))
        with within(60):
            store = Store(folder)
            try:
                assert_right(store)
            except StoreError as error:
                assert re.search("has format [1-9][0-9]{0,2};", str(error))  # noqa: PT017 - a later version of facebench
                store.close()
                continue
            store.put(RESULTS)
            store.info()
            store.verify()
            store.close()
            healed = Store(folder)
            healed.put(RESULTS)
            assert assert_right(healed) == len(ADDRESSES), seed
            healed.close()
        shutil.rmtree(folder)
