from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facebench.core.errors import InputError
from facebench.metrics import affect_agreement
from tests.helpers.metric_inputs import few


def test_affect_of_perfect_predictions() -> None:
    target = np.array([[-0.5, 0.2], [0.0, 0.4], [0.7, -0.9]])
    result = affect_agreement(target, target)
    for value, expected in (
        (result.mae, 0),
        (result.rmse, 0),
        (result.pearson, 1),
        (result.ccc, 1),
        (result.sagr, 1),
    ):
        assert np.allclose(value, expected)
    assert result.n == 3


def test_affect_per_dimension_is_affect_of_each() -> None:
    rng = np.random.default_rng(0)
    target, generated = rng.uniform(-1, 1, (2, 50, 2))
    both = affect_agreement(target, generated)
    for dimension in range(2):
        one = affect_agreement(target[:, dimension], generated[:, dimension])
        for name in ("mae", "rmse", "pearson", "ccc", "sagr", "mean_delta"):
            assert getattr(both, name)[dimension] == pytest.approx(getattr(one, name), rel=1e-12)
            assert isinstance(getattr(one, name), float)


def test_affect_by_hand() -> None:
    x, y = np.array([0.1, -0.3, 0.5, 0.0]), np.array([0.2, 0.1, 0.4, 0.0])
    result = affect_agreement(x, y)
    covariance = ((x - x.mean()) * (y - y.mean())).mean()
    assert result.pearson == pytest.approx(np.corrcoef(x, y)[0, 1])
    assert result.ccc == pytest.approx(2 * covariance / (x.var() + y.var() + (x.mean() - y.mean()) ** 2))
    assert (result.mae, result.sagr, result.mean_delta) == pytest.approx((0.15, 0.75, 0.1))


@few
@given(st.integers(0, 1000), st.integers(2, 40), st.floats(-1, 1))
def test_a_shift_moves_the_bias_and_never_raises_concordance(seed: int, n: int, shift: float) -> None:
    x = np.random.default_rng(seed).uniform(-1, 1, n)
    result = affect_agreement(x, x + shift)
    assert result.mean_delta == pytest.approx(shift, abs=1e-12)
    assert result.mae == pytest.approx(abs(shift), abs=1e-12)
    assert result.pearson == pytest.approx(1.0)
    assert result.ccc <= 1.0 + 1e-12
    assert affect_agreement(x + shift, x).ccc == pytest.approx(result.ccc)


def test_constants_have_no_correlation() -> None:
    result = affect_agreement([0.1] * 7, [0.1] * 7)
    assert np.isnan(result.pearson)
    assert np.isnan(result.ccc)
    assert affect_agreement([0.1, 0.1], [0.2, 0.3]).ccc == 0.0
    assert result.mae == 0.0


def test_affect_rejects_invalid_input() -> None:
    with pytest.raises(InputError, match="must be equal"):
        affect_agreement([0.1, 0.2], [0.1])
    with pytest.raises(InputError, match="0 rows"):
        affect_agreement([], [])
    with pytest.raises(InputError, match="generated: row 0"):
        affect_agreement([0.1], [np.nan])
