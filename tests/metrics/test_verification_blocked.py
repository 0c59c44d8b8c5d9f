from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facebench.core.errors import InputError
from facebench.metrics import (
    blocked_verification,
    pair_scores,
    tar_at_far,
    verification,
    verification_blocked,
)
from tests.helpers.metric_inputs import few

SUMS = ("auc", "fdr", "d_prime", "genuine_mean", "genuine_std", "impostor_mean", "impostor_std")
"""Statistics in which sums are taken in another order, so that the last bits may differ."""


def embeddings(rng: np.random.Generator, n: int, kind: str) -> np.ndarray:
    d = int(rng.integers(1, 8))
    if kind == "lattice":
        rows = rng.integers(-1, 2, (n, d)).astype(float)
        rows[~rows.any(axis=1)] = 1.0
        return rows
    rows = rng.standard_normal((n, d))
    return rows[rng.integers(0, max(2, n // 10), n)] if kind == "duplicates" else rows


@few
@given(
    st.integers(0, 2**32 - 1),
    st.integers(4, 90),
    st.sampled_from(["smooth", "lattice", "duplicates"]),
    st.booleans(),
    st.sampled_from([7, 64, 2048]),
)
def test_streamed_statistics_are_those_of_the_stored_scores(
    seed: int, n: int, kind: str, against: bool, block: int
) -> None:
    rng = np.random.default_rng(seed)
    names = rng.integers(0, rng.integers(2, 9), n)
    names[:4] = 0, 0, 1, 1
    sets = [embeddings(rng, n, kind), names]
    if against:
        sets += [rng.standard_normal((n // 2 + 2, sets[0].shape[1])), rng.integers(0, 6, n // 2 + 2)]
        sets[3][:2] = 0, 1
    stored = pair_scores(*sets, block=block)
    expected = verification(stored.genuine, stored.impostor)
    found = blocked_verification(*sets, block=block).statistics
    for item in dataclasses.fields(expected):
        value, wanted = getattr(found, item.name), getattr(expected, item.name)
        if item.name in SUMS:
            assert value == pytest.approx(wanted, rel=1e-10, abs=1e-12, nan_ok=True), item.name
        else:
            assert value == wanted, item.name


def people(n: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    names = np.arange(n) % count
    return rng.standard_normal((count, 32))[names] + 1.5 * rng.standard_normal((n, 32)), names


def test_points_of_the_curve_are_exact_rates_at_their_thresholds() -> None:
    x, names = people(300, 30)
    stored, curve = pair_scores(x, names), blocked_verification(x, names).curve
    for threshold, fmr, fnmr in list(zip(curve.thresholds, curve.fmr, curve.fnmr, strict=True))[::50]:
        assert fmr == pytest.approx((stored.impostor >= threshold).mean(), abs=1e-15)
        assert fnmr == pytest.approx((stored.genuine < threshold).mean(), abs=1e-15)


def test_the_true_accept_rate_at_one_in_ten_thousand_is_strict_in_both_forms() -> None:
    x, names = people(400, 40)
    stored = pair_scores(x, names)
    expected = tar_at_far(stored.genuine, stored.impostor, 1e-4)
    assert blocked_verification(x, names).statistics.tar_1e4 == pytest.approx(expected, abs=1e-15)
    assert verification(stored.genuine, stored.impostor).tar_1e4 == pytest.approx(expected, abs=1e-15)
    few = verification(stored.genuine, stored.impostor[:9999])
    assert few.tar_1e4 is None
    assert "needs 10000" in few.notes["tar_1e4"]


def test_too_many_genuine_pairs_bound_the_error_of_the_area(monkeypatch: pytest.MonkeyPatch) -> None:
    x, names = people(200, 10)
    exact = blocked_verification(x, names).statistics
    monkeypatch.setattr(verification_blocked, "_MOST_GENUINE", 10)
    binned = blocked_verification(x, names).statistics
    bound = float(binned.notes["auc"].rsplit(" ", 1)[1])
    assert abs(binned.auc - exact.auc) <= bound < 1e-5
    assert binned.eer == exact.eer
    assert binned.fmr1000 == exact.fmr1000


def test_scores_too_similar_to_be_resolved_in_memory_are_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification_blocked, "_MOST_DISTINCT", 50)
    rng = np.random.default_rng(0)
    nearly_one = 1.0 + 1e-5 * rng.standard_normal((60, 8))
    with pytest.raises(InputError, match="nearly identical"):
        blocked_verification(nearly_one, np.arange(60) % 6)


def test_both_kinds_of_pairs_are_needed() -> None:
    with pytest.raises(InputError, match="0 genuine"):
        blocked_verification(np.eye(3), ["a", "b", "c"])
    with pytest.raises(InputError, match="0 impostor"):
        blocked_verification(np.eye(3), ["a", "a", "a"])
