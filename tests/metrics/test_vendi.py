from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facebench.core.errors import InputError
from facebench.metrics import vendi_per_class, vendi_score
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
def test_vendi_is_between_one_and_n_and_independent_of_order_and_length(x: np.ndarray, q: float) -> None:
    x = x[x.any(axis=1)].astype(np.float64)
    if len(x) == 0:
        return
    score = vendi_score(x, q=q)
    assert 1.0 - 1e-9 <= score <= len(x) * (1 + 1e-9)
    assert vendi_score(x[::-1] * 3.0, q=q) == pytest.approx(score, rel=1e-5)


def test_vendi_is_equal_through_rows_and_through_columns() -> None:
    x = gaussian(0, 40, 39)
    padded = np.concatenate([x, np.zeros((40, 10))], axis=1)
    assert vendi_score(x) == pytest.approx(vendi_score(padded), rel=1e-9)


def test_copies_add_no_diversity() -> None:
    x = gaussian(0, 10, 20)
    assert vendi_score(np.repeat(x, 3, axis=0)) == pytest.approx(vendi_score(x), rel=1e-9)


def test_vendi_rejects_invalid_input() -> None:
    with pytest.raises(InputError, match="row 1 is all zeros"):
        vendi_score(np.array([[1.0], [0.0]]))
    with pytest.raises(InputError, match="0 rows"):
        vendi_score(np.empty((0, 3)))
    with pytest.raises(InputError, match="q must"):
        vendi_score(np.eye(2), q=0.0)
    with pytest.raises(InputError, match="one per row"):
        vendi_per_class(np.eye(2), ["a"])
