from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facebench.core.errors import InputError
from facebench.metrics import (
    affect_agreement,
    class_agreement,
    cosine_similarity,
    mean_std,
    paired_delta,
    paired_distance,
    paired_similarity,
    spread,
    vendi_per_class,
    vendi_score,
)
from tests.helpers.metric_inputs import Golden, few, gaussian, matrices

GOLDEN = Golden("distribution_metrics")
CASES = ["main", "n_below_d", "n_below_d_unequal", "lattice", "identical"]


@pytest.mark.parametrize("case", CASES)
def test_golden_vendi(case: str) -> None:
    generated, _ = GOLDEN.sides(case)
    assert vendi_score(generated) == pytest.approx(
        GOLDEN.value(case, "vendi.dgm_eval_of_generated"), rel=1e-7
    )
    assert vendi_score(generated, q=2.0) == pytest.approx(
        GOLDEN.value(case, "vendi.dgm_eval_of_generated_q2"), rel=1e-7
    )
    per_class = vendi_per_class(generated, np.arange(len(generated)) % 5)
    assert (per_class.mean, per_class.std) == pytest.approx(
        GOLDEN.value(case, "vendi.dgm_eval_per_class_mean_std (label = row % 5)"), rel=1e-7
    )


@few
@given(matrices(smallest=1), st.sampled_from([0.5, 1.0, 2.0, np.inf]))
def test_vendi_counts_between_one_and_n_and_is_blind_to_order_and_length(x: np.ndarray, q: float) -> None:
    x = x[x.any(axis=1)].astype(np.float64)
    if len(x) == 0:
        return
    score = vendi_score(x, q=q)
    assert 1.0 - 1e-9 <= score <= len(x) * (1 + 1e-9)
    assert vendi_score(x[::-1] * 3.0, q=q) == pytest.approx(score, rel=1e-5)


def test_vendi_through_rows_and_through_columns_is_one_number() -> None:
    x = gaussian(0, 40, 39)
    padded = np.concatenate([x, np.zeros((40, 10))], axis=1)
    assert vendi_score(x) == pytest.approx(vendi_score(padded), rel=1e-9)


def test_copies_add_no_diversity() -> None:
    x = gaussian(0, 10, 20)
    assert vendi_score(np.repeat(x, 3, axis=0)) == pytest.approx(vendi_score(x), rel=1e-9)


def test_vendi_refuses_what_has_no_direction() -> None:
    with pytest.raises(InputError, match="row 1 is all zeros"):
        vendi_score(np.array([[1.0], [0.0]]))
    with pytest.raises(InputError, match="0 rows"):
        vendi_score(np.empty((0, 3)))
    with pytest.raises(InputError, match="q must"):
        vendi_score(np.eye(2), q=0.0)
    with pytest.raises(InputError, match="one per row"):
        vendi_per_class(np.eye(2), ["a"])


def test_affect_of_a_perfect_answer() -> None:
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


def test_affect_refuses_what_does_not_match() -> None:
    with pytest.raises(InputError, match="must be equal"):
        affect_agreement([0.1, 0.2], [0.1])
    with pytest.raises(InputError, match="0 rows"):
        affect_agreement([], [])
    with pytest.raises(InputError, match="generated: row 0"):
        affect_agreement([0.1], [np.nan])


def test_means_deltas_and_spreads() -> None:
    assert mean_std([2.0]) == mean_std(np.float32([2.0]))
    assert mean_std([1.0, 2.0, 3.0]).std == pytest.approx(np.sqrt(2 / 3))
    assert paired_delta([0.5, 0.5], [0.0, 1.0]).mean == 0.0
    assert spread([1.0, 3.0]) == 1.0
    poses = np.random.default_rng(0).normal(0, [10, 5, 2], (5000, 3))
    assert spread(poses) == pytest.approx(np.sqrt(129), rel=0.05)
    for refused in (
        lambda: mean_std([]),
        lambda: spread(np.empty((0, 3))),
        lambda: paired_delta([1.0], [1.0, 2.0]),
    ):
        with pytest.raises(InputError):
            refused()


@few
@given(st.integers(0, 1000), st.integers(1, 20))
def test_similarity_is_symmetric_bounded_and_blind_to_length(seed: int, n: int) -> None:
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
def test_code_distance_is_a_distance_and_blind_to_a_shared_shift(seed: int, n: int) -> None:
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


@few
@given(st.integers(0, 1000), st.integers(1, 20))
def test_class_agreement_counts_equal_choices_whatever_their_margin(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    wanted, shown = rng.standard_normal((2, n, 4))
    found = class_agreement(wanted, shown)
    assert found.mean == np.mean(wanted.argmax(axis=1) == shown.argmax(axis=1))
    assert class_agreement(wanted, wanted) == class_agreement(wanted, 3 * wanted + 1)
    assert class_agreement(wanted, wanted).mean == 1.0
    assert class_agreement(shown, wanted) == found
    order = rng.permutation(4)
    assert class_agreement(wanted[:, order], shown[:, order]) == found


def test_class_agreement_needs_the_same_classes() -> None:
    with pytest.raises(InputError, match="must be equal"):
        class_agreement(np.eye(3), np.eye(3)[:, :2])
    with pytest.raises(InputError):
        class_agreement([[0.1, np.nan]], [[0.1, 0.2]])
