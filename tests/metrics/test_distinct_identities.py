from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facebench.core.errors import InputError
from facebench.metrics import distinct_identities
from tests.helpers.metric_inputs import NewGolden, few, gaussian

GOLDEN = NewGolden()


@pytest.mark.parametrize("case", ["main", "n_below_d", "n_below_d_unequal"])
def test_golden(case: str) -> None:
    result = distinct_identities(GOLDEN.sides(case)[0], 0.2125)
    expected = GOLDEN.case(case)["own_formula_identity_counts_cos_0.2125"]
    assert result.distinct == expected["greedy_first_kept"]
    assert result.duplicate_share == expected["share_of_images_with_a_match"]
    assert result.pair_share == pytest.approx(expected["share_of_pairs_that_match"], abs=1e-12)


@few
@given(st.integers(2, 40), st.sampled_from([-1.0, 0.0, 0.3, 0.7, 1.0]), st.integers(0, 1000))
def test_it_is_the_greedy_count(n: int, threshold: float, seed: int) -> None:
    rows = np.random.default_rng(seed).standard_normal((n, 3))
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    kept: list[int] = []
    for i in range(n):
        if all(unit[i] @ unit[j] < threshold for j in kept):
            kept.append(i)
    result = distinct_identities(rows, threshold)
    assert result.distinct == len(kept)
    assert result.distinct_share == len(kept) / n
    assert (result.duplicate_share == 0) == (result.distinct == n)


def test_copies_of_some_people_are_counted_once() -> None:
    people = gaussian(0, 30, 64)
    rows = np.concatenate([people, people[:10] * 2.0])
    result = distinct_identities(rows, 0.99)
    assert result.distinct == 30
    assert result.duplicate_share == 20 / 40
    assert result.pair_share == 10 / (40 * 39 / 2)


def test_blocks_give_what_one_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = gaussian(0, 90, 3)
    whole = distinct_identities(rows, 0.8)
    monkeypatch.setattr("facebench.metrics.arrays.BLOCK_ELEMENTS", 1)
    assert distinct_identities(rows, 0.8) == whole


def test_bad_input_is_refused() -> None:
    with pytest.raises(InputError, match="threshold must be a cosine"):
        distinct_identities(np.eye(3), 1.5)
    with pytest.raises(InputError, match="threshold must be a cosine"):
        distinct_identities(np.eye(3), float("nan"))
    with pytest.raises(InputError, match="at least 2 rows"):
        distinct_identities(np.eye(3)[:1], 0.5)
    with pytest.raises(InputError, match="all zeros"):
        distinct_identities(np.zeros((3, 2)), 0.5)
