from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from facebench.core.errors import InputError
from facebench.metrics import control_linearity, harmonic_edit_score
from facebench.metrics.edit_control import harmonic_edit_scores
from tests.helpers.metric_inputs import few


@few
@given(st.integers(1, 8), st.integers(3, 9), st.integers(0, 1000))
def test_linearity_is_the_mean_correlation(faces: int, k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    strengths, scores = rng.permutation(k) / k, rng.random((faces, k))
    expected = np.mean([scipy.stats.pearsonr(strengths, row).statistic for row in scores])
    value = control_linearity(strengths, scores)
    assert value == pytest.approx(expected, abs=1e-12)
    assert control_linearity(2 * strengths + 1, scores) == pytest.approx(value, abs=1e-12)
    assert control_linearity(strengths, -scores) == pytest.approx(-expected, abs=1e-12)


def test_a_linear_response_has_one_and_constant_faces_are_left_out() -> None:
    strengths = np.linspace(0.0, 1.0, 5)
    assert control_linearity(strengths, 0.2 + 0.5 * strengths) == pytest.approx(1.0)
    assert control_linearity(strengths, [0.5 * strengths, np.full(5, 0.3)]) == pytest.approx(1.0)
    assert control_linearity(strengths, np.full((3, 5), 0.3)) is None


def test_linearity_refuses_bad_input() -> None:
    with pytest.raises(InputError, match="all equal"):
        control_linearity([1.0, 1.0], [0.1, 0.2])
    with pytest.raises(InputError, match="do not match"):
        control_linearity([0.0, 1.0], [0.1, 0.2, 0.3])
    with pytest.raises(InputError, match="all equal"):
        control_linearity([0.0], [0.1])
    with pytest.raises(InputError, match="NaN"):
        control_linearity([0.0, 1.0], [0.1, np.nan])


@few
@given(st.floats(0.0, 1.0), st.floats(-1.0, 1.0))
def test_the_harmonic_score_lies_between_zero_and_both_sides(expression: float, identity: float) -> None:
    value = harmonic_edit_score(expression, identity)
    kept = max(0.0, identity)
    assert 0.0 <= value <= 1.0
    assert min(expression, kept) <= value + 1e-12
    assert value <= max(expression, kept) + 1e-12
    if identity >= 0:
        assert harmonic_edit_score(identity, expression) == pytest.approx(value)


def test_every_face_has_a_score_of_its_own() -> None:
    scores = harmonic_edit_scores([1.0, 0.5, 0.0, 0.4], [1.0, 0.5, 0.0, -0.5])
    assert scores.tolist() == [1.0, 0.5, 0.0, 0.0]
    assert harmonic_edit_score([1.0, 0.5, 0.0, 0.4], [1.0, 0.5, 0.0, -0.5]) == 0.375


def test_the_harmonic_score_refuses_bad_input() -> None:
    with pytest.raises(InputError, match="between 0 and 1"):
        harmonic_edit_score(1.2, 0.5)
    with pytest.raises(InputError, match="cosines between -1 and 1"):
        harmonic_edit_score(0.5, 1.2)
    with pytest.raises(InputError, match="do not match"):
        harmonic_edit_score([0.5], [0.5, 0.4])
    with pytest.raises(InputError, match="NaN"):
        harmonic_edit_score(float("nan"), 0.5)
    with pytest.raises(InputError, match="0 values"):
        harmonic_edit_score([], [])
