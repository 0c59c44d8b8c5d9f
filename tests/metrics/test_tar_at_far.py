from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facebench.core.errors import InputError
from facebench.metrics import tar_at_far, verification
from tests.helpers.metric_inputs import GOLDENS, NewGolden, few, scores

GOLDEN = NewGolden()
with np.load(GOLDENS / "verification.npz") as _arrays:
    ARRAYS = {key: _arrays[key] for key in _arrays.files if key.endswith(("genuine", "impostor"))}


@pytest.mark.parametrize("case", ["normal", "overlapping_somewhat", "skewed", "ties", "ties_fine"])
@pytest.mark.parametrize("far", [0.01, 0.001, 0.0001])
def test_golden(case: str, far: float) -> None:
    expected = GOLDEN.case(f"verification.{case}")["tar_at_far"][f"own_formula_strict_far_{far}"]
    assert tar_at_far(ARRAYS[f"{case}.genuine"], ARRAYS[f"{case}.impostor"], far) == expected


@few
@given(scores(), st.sampled_from([0.0, 0.01, 0.1, 0.25, 0.5, 0.9]))
def test_it_is_the_best_rate_over_all_thresholds(sides: tuple[np.ndarray, np.ndarray], far: float) -> None:
    genuine, impostor = sides
    thresholds = [*genuine, *impostor, np.inf]
    rates = [(genuine >= t).mean() for t in thresholds if (impostor >= t).mean() <= far]
    assert tar_at_far(genuine, impostor, far) == max(rates)


@few
@given(scores(smallest=100, largest=200))
def test_it_is_one_minus_fmr100(sides: tuple[np.ndarray, np.ndarray]) -> None:
    fmr100 = verification(*sides).fmr100
    assert fmr100 is not None
    assert tar_at_far(*sides, 0.01) == pytest.approx(1.0 - fmr100, abs=1e-12)


@few
@given(scores(), st.floats(0.0, 0.99), st.floats(0.0, 0.99))
def test_it_grows_with_the_rate(sides: tuple[np.ndarray, np.ndarray], a: float, b: float) -> None:
    low, high = sorted([a, b])
    assert tar_at_far(*sides, low) <= tar_at_far(*sides, high)


def test_bad_input_is_refused() -> None:
    for far in (-0.1, 1.0, float("nan")):
        with pytest.raises(InputError, match="far must be"):
            tar_at_far([1.0], [0.0], far)
    with pytest.raises(InputError, match="impostor: 0 values"):
        tar_at_far([1.0], [], 0.01)
    with pytest.raises(InputError, match="genuine: value 0 is NaN"):
        tar_at_far([np.nan], [0.0], 0.01)
