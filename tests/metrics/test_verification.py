from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facebench.core.errors import InputError
from facebench.metrics import det_curve, id_booth_verification, verification
from tests.helpers.metric_inputs import Golden, few, scores

GOLDEN = Golden("verification")
CASES = list(GOLDEN.manifest["values"])
FIELDS = {
    "eer": "eer",
    "eer_low": "eer_low",
    "eer_high": "eer_high",
    "eer_th": "eer_threshold",
    "auc": "auc",
    "fdr": "fdr",
    "decidability": "d_prime",
    "gmean": "genuine_mean",
    "gstd": "genuine_std",
    "imean": "impostor_mean",
    "istd": "impostor_std",
    "strict_fmr100": "fmr100",
    "strict_fmr1000": "fmr1000",
    "strict_zerofmr": "zero_fmr",
}

TEXTBOOK_OF_ONE_VALUE = {"eer": 0.5, "eer_low": 0.0, "eer_high": 1.0, "eer_threshold": 0.5, "auc": 0.5}
"""Statistics of one score for all pairs. pyeer has no threshold above all scores and reports EER 1 and AUC 0."""


def test_constant_scores_have_the_error_rates_of_guessing() -> None:
    genuine, impostor, _ = similarities("one_value")
    for rates in (verification(genuine, impostor), id_booth_verification(genuine, impostor)):
        assert {name: getattr(rates, name) for name in TEXTBOOK_OF_ONE_VALUE} == TEXTBOOK_OF_ONE_VALUE
    curve = det_curve(genuine, impostor)
    assert (curve.fmr.tolist(), curve.fnmr.tolist()) == ([1.0, 0.0], [0.0, 1.0])


def test_an_impostor_at_the_top_counts_in_the_area() -> None:
    assert verification([0.9, 0.9], [0.9, 0.1]).auc == 0.75


def similarities(case: str) -> tuple[np.ndarray, np.ndarray, int]:
    sign = -1 if case == "distances" else 1
    return sign * GOLDEN.arrays[f"{case}.genuine"], sign * GOLDEN.arrays[f"{case}.impostor"], sign


@pytest.mark.parametrize("case", CASES)
def test_golden_statistics(case: str) -> None:
    genuine, impostor, sign = similarities(case)
    result = verification(genuine, impostor)
    for key, name in FIELDS.items():
        if case == "one_value" and name in TEXTBOOK_OF_ONE_VALUE:
            continue
        expected, value = float(GOLDEN.value(case, key)), getattr(result, name)
        if name in ("fmr100", "fmr1000") and len(impostor) < int(name[3:]):
            assert value is None
            assert str(len(impostor)) in result.notes[name]
            continue
        if key in ("eer_th", "gmean", "imean"):
            value *= sign
        assert value == pytest.approx(expected, rel=1e-9, abs=1e-12, nan_ok=True), key


def by_definition(genuine: np.ndarray, impostor: np.ndarray, target: float) -> float:
    """Lowest FNMR over all thresholds, observed or above all, with an FMR of at most the target."""
    thresholds = [*np.unique(np.concatenate([genuine, impostor])), np.inf]
    rates = [((impostor >= t).mean(), (genuine < t).mean()) for t in thresholds]
    return min(fnmr for fmr, fnmr in rates if fmr <= target)


@few
@given(scores())
def test_stated_fmrs_are_never_exceeded(lists: tuple[np.ndarray, np.ndarray]) -> None:
    genuine, impostor = lists[0], np.tile(lists[1], 40)
    result = verification(genuine, impostor)
    assert result.zero_fmr == by_definition(genuine, impostor, 0.0)
    if result.fmr100 is not None:
        assert result.fmr100 == by_definition(genuine, impostor, 0.01)


@few
@given(scores())
def test_the_equal_error_rate_lies_between_its_ends(lists: tuple[np.ndarray, np.ndarray]) -> None:
    result = verification(*lists)
    assert 0.0 <= result.eer_low <= result.eer <= result.eer_high <= 1.0
    assert result.eer == (result.eer_low + result.eer_high) / 2
    assert result.zero_fmr >= (result.fmr1000 or 0.0) >= (result.fmr100 or 0.0)


@few
@given(scores())
def test_the_area_is_the_share_of_won_comparisons(lists: tuple[np.ndarray, np.ndarray]) -> None:
    genuine, impostor = lists
    won = (genuine[:, None] > impostor).mean() + (genuine[:, None] == impostor).mean() / 2
    assert verification(genuine, impostor).auc == pytest.approx(won, abs=1e-12)


@few
@given(scores(), st.integers(0, 1000))
def test_order_and_increasing_maps_do_not_change_error_rates(
    lists: tuple[np.ndarray, np.ndarray], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    plain = verification(*lists)
    mapped = verification(*(np.arctan(rng.permutation(side)) for side in lists))
    for name in ("eer", "eer_low", "eer_high", "fmr100", "zero_fmr"):
        assert getattr(mapped, name) == getattr(plain, name)
    assert mapped.auc == pytest.approx(plain.auc, abs=1e-12)


@few
@given(scores())
def test_repeating_every_score_changes_no_rate(lists: tuple[np.ndarray, np.ndarray]) -> None:
    once, thrice = verification(*lists), verification(*(np.repeat(side, 3) for side in lists))
    for name in ("eer", "zero_fmr", "eer_threshold"):
        assert getattr(thrice, name) == pytest.approx(getattr(once, name), abs=1e-12)


def test_fisher_ratio_is_half_the_square_of_d_prime() -> None:
    result = verification([0.9, 0.7, 0.8], [0.1, 0.3, 0.2])
    assert result.fdr == pytest.approx(result.d_prime**2 / 2)
    assert (result.genuine_count, result.impostor_count) == (3, 3)


def test_one_score_per_side_is_enough_for_an_eer() -> None:
    result = verification([0.9], [0.1])
    assert (result.eer, result.zero_fmr, result.auc) == (0.0, 0.0, 1.0)
    assert result.fmr100 is None


def test_distances_given_as_similarities_cause_a_note() -> None:
    assert "negate" in verification([0.1, 0.2], [0.8, 0.9]).notes["eer"]


@pytest.mark.parametrize(
    ("genuine", "impostor", "message"),
    [
        ([], [0.1], "genuine: 0 values"),
        ([0.1], [], "impostor: 0 values"),
        ([np.nan, 0.2], [0.1], "genuine: value 0 is NaN"),
        ([0.2], [0.1, np.inf], "impostor: value 1 is NaN or infinite"),
        ([[0.2]], [0.1], "list of numbers"),
    ],
)
def test_unusable_scores_are_refused(genuine: list[float], impostor: list[float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        verification(genuine, impostor)


def test_results_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        verification([0.5], [0.1]).eer = 0.0  # type: ignore[misc]
