from __future__ import annotations

import functools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facebench.core.errors import InputError
from facebench.metrics import cosine_similarity, share_verified
from facebench.metrics.intervals import bootstrap_images
from tests.helpers.metric_inputs import few


@few
@given(st.integers(0, 1000), st.integers(1, 20))
def test_the_share_falls_with_the_threshold_and_ignores_length(seed: int, n: int) -> None:
    x, y = np.random.default_rng(seed).standard_normal((2, n, 5))
    shares = [share_verified(x, y, threshold=threshold).mean for threshold in np.linspace(-1, 1, 9)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] == 1.0
    assert share_verified(x, y, threshold=0.2) == share_verified(3 * x, 0.1 * y, threshold=0.2)


def test_a_cosine_equal_to_the_threshold_is_accepted() -> None:
    x, y = np.array([[1.0, 0.0]]), np.array([[0.6, 0.8]])
    assert share_verified(x, y, threshold=float(cosine_similarity(x, y)[0])).mean == 1.0
    with pytest.raises(InputError, match="equal shapes"):
        share_verified(x, np.eye(3), threshold=0.3)


def test_its_bootstrap_in_one_step_equals_the_one_by_one() -> None:
    x, y = np.random.default_rng(0).standard_normal((2, 60, 5))
    at_once = bootstrap_images(functools.partial(share_verified, threshold=0.1), x, y, resamples=200)["mean"]
    single = bootstrap_images(lambda *rows: share_verified(*rows, threshold=0.1), x, y, resamples=200)["mean"]
    assert (at_once.low, at_once.high) == pytest.approx((single.low, single.high), abs=1e-9)
