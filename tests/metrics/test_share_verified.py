from __future__ import annotations

import functools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facebench.core.errors import InputError
from facebench.metrics import cosine_similarity, share_verified, share_verified_at, threshold_at, verification
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


@few
@given(st.integers(0, 2**32 - 1), st.integers(100, 400), st.sampled_from([1, 12]))
def test_the_false_match_rate_is_never_exceeded_and_the_next_lower_score_exceeds_it(
    seed: int, m: int, decimals: int
) -> None:
    impostor = np.random.default_rng(seed).normal(0, 0.3, m).round(decimals)
    threshold = threshold_at(impostor, 0.01)
    assert (impostor >= threshold).mean() <= 0.01
    lower = impostor[impostor < threshold].max()
    assert (impostor >= lower).mean() > 0.01


def test_the_share_at_the_threshold_is_1_minus_fmr100() -> None:
    rng = np.random.default_rng(0)
    genuine, impostor = rng.normal(0.6, 0.2, 300).clip(-1, 1), rng.normal(0.0, 0.2, 1000)
    pairs = np.stack([genuine, np.sqrt(1 - genuine**2)], axis=1)
    limits = np.full(300, threshold_at(impostor, 0.01))
    found = share_verified_at(pairs, np.tile([1.0, 0.0], (300, 1)), limits)
    fmr100 = verification(genuine, impostor).fmr100
    assert fmr100 is not None
    assert found.share == pytest.approx(1 - fmr100, abs=1e-9)
    assert found.threshold == pytest.approx(limits[0], rel=1e-12)


def test_too_few_pairs_for_the_rate_are_refused() -> None:
    with pytest.raises(
        InputError, match=r"999 pairs of different people, a false match rate of 1/1000 needs 1000"
    ):
        threshold_at(np.zeros(999), 0.001)
    with pytest.raises(InputError, match="2 pairs and 1 thresholds"):
        share_verified_at(np.eye(2), np.eye(2), [0.5])
