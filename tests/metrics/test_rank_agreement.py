from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from facebench.core.errors import InputError
from facebench.metrics import pair_agreement, rank_correlation
from tests.helpers.metric_inputs import few


@few
@given(st.integers(3, 40), st.integers(0, 1000), st.booleans())
def test_the_rank_correlation_is_that_of_scipy(n: int, seed: int, ties: bool) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((2, n))
    if ties:
        x = x.round()
    if np.ptp(x) == 0:
        return
    value = rank_correlation(x, y)
    assert value == pytest.approx(scipy.stats.spearmanr(x, y).statistic, abs=1e-12)
    assert rank_correlation(x, np.exp(y)) == pytest.approx(value, abs=1e-12)
    assert rank_correlation(x, -y) == pytest.approx(-value, abs=1e-12)


def test_constant_sides_have_no_correlation() -> None:
    assert np.isnan(rank_correlation([1, 1, 1], [1, 2, 3]))


@few
@given(st.integers(1, 40), st.integers(0, 1000))
def test_swapped_pairs_have_the_complement(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, 4, (2, n))
    assert pair_agreement(x, y) + pair_agreement(y, x) == pytest.approx(1.0)
    assert pair_agreement(x + 5, y) == 1.0


def test_bad_input_is_refused() -> None:
    with pytest.raises(InputError, match="do not match"):
        rank_correlation([1, 2], [1, 2, 3])
    with pytest.raises(InputError, match="at least 2"):
        rank_correlation([1], [1])
    with pytest.raises(InputError, match="do not match"):
        pair_agreement([1.0], [1.0, 2.0])
    with pytest.raises(InputError, match="0 values"):
        pair_agreement([], [])
    with pytest.raises(InputError, match="NaN"):
        rank_correlation([1, np.nan], [1, 2])
