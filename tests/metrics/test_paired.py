from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facebench.core.errors import InputError
from facebench.metrics import cosine_similarity, paired_distance, paired_similarity
from tests.helpers.metric_inputs import few


@few
@given(st.integers(0, 1000), st.integers(1, 20))
def test_similarity_is_symmetric_bounded_and_independent_of_length(seed: int, n: int) -> None:
    x, y = np.random.default_rng(seed).standard_normal((2, n, 5))
    found = cosine_similarity(x, y)
    assert (np.abs(found) <= 1.0).all()
    assert np.allclose(found, cosine_similarity(3.0 * y, 0.1 * x))
    assert np.allclose(cosine_similarity(x, x), 1.0)
    assert paired_similarity(x, y).mean == pytest.approx(found.mean())


def test_similarity_needs_pairs() -> None:
    with pytest.raises(InputError, match="equal shapes"):
        cosine_similarity(np.eye(3), np.eye(3)[:2])
    with pytest.raises(InputError, match="reference: row 0 is all zeros"):
        cosine_similarity(np.ones((1, 2)), np.zeros((1, 2)))


@few
@given(st.integers(0, 1000), st.integers(1, 20))
def test_code_distance_is_a_distance_and_invariant_to_a_shared_shift(seed: int, n: int) -> None:
    x, y, shift = np.random.default_rng(seed).standard_normal((3, n, 5))
    found = paired_distance(x, y)
    assert found.n == n
    assert paired_distance(x, x).mean == 0.0
    assert paired_distance(y, x) == found
    assert paired_distance(x + shift, y + shift).mean == pytest.approx(found.mean)
    assert paired_distance(2 * x, 2 * y).mean == pytest.approx(2 * found.mean)
    assert paired_distance(np.float32(x), np.float32(y)).mean == pytest.approx(found.mean, rel=1e-5)


def test_code_distance_needs_pairs() -> None:
    for left, right in ((np.eye(3), np.eye(3)[:2]), (np.eye(3), np.eye(3)[:, :2]), (np.empty((0, 2)),) * 2):
        with pytest.raises(InputError):
            paired_distance(left, right)
