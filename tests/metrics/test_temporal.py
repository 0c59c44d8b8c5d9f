from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facebench.core.errors import InputError
from facebench.metrics import (
    affect_agreement,
    affect_track_agreement,
    head_motion,
    jitter,
    subject_consistency,
)
from tests.helpers.metric_inputs import NewGolden, few, gaussian

GOLDEN = NewGolden()


def test_golden_head_motion() -> None:
    track = GOLDEN.arrays["main.generated"].astype(np.float64)
    expected = GOLDEN.case("main")
    key = "theval_head_motion_of_first_5_columns_pitch_yaw_roll_tx_ty"
    assert head_motion(track[:, :3], track[:, 3:5]) == pytest.approx(expected[key], rel=1e-9)
    variance = np.diff(track[:, :3], axis=0).var(axis=0)
    assert variance == pytest.approx(expected["theval_var_of_first_difference_first_3_columns"], rel=1e-9)


def test_golden_affect_agreement_of_emonet() -> None:
    real, generated = (GOLDEN.arrays[f"main.{side}"].astype(np.float64) for side in ("real", "generated"))
    truth = real[:250, 0]
    result = affect_agreement(truth, 0.7 * truth + 0.3 * generated[:, 0] + 0.1)
    expected = GOLDEN.case("main")[
        "emonet_agreement_truth_real_0_prediction_0.7_real_0_plus_0.3_generated_0_plus_0.1"
    ]
    values = {"CCC": result.ccc, "PCC": result.pearson, "RMSE": result.rmse, "SAGR": result.sagr}
    assert values == pytest.approx(expected, abs=1e-12)


def test_a_still_clip_is_consistent_and_turned_embeddings_are_not() -> None:
    still = np.tile(gaussian(0, 1, 8), (5, 1))
    assert subject_consistency(still) == pytest.approx(1.0)
    opposite = np.array([[1.0, 0.0], [-1.0, 0.0], [1.0, 0.0]])
    assert subject_consistency(opposite) == 0.25


@few
@given(st.integers(2, 20), st.integers(0, 1000))
def test_consistency_lies_between_zero_and_one_and_ignores_length(frames: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((frames, 4))
    value = subject_consistency(rows)
    assert 0.0 <= value <= 1.0
    assert subject_consistency(rows * rng.uniform(0.5, 2.0, (frames, 1))) == pytest.approx(value)


@few
@given(st.integers(4, 20), st.integers(0, 1000))
def test_jitter_ignores_shifts_and_constant_acceleration(frames: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    time, track = np.arange(frames)[:, None, None], rng.standard_normal((frames, 5, 2))
    value = jitter(track)
    assert jitter(track + 3 + 0.5 * time + 0.25 * time**2) == pytest.approx(value, abs=1e-9)
    assert jitter(2 * track, fps=10) == pytest.approx(2000 * value)
    assert jitter(track[:, 0]) >= 0.0


@few
@given(st.integers(2, 20), st.integers(0, 1000))
def test_head_motion_ignores_the_origin(frames: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    angles, centres = rng.standard_normal((frames, 3)), rng.standard_normal((frames, 2))
    value = head_motion(angles, centres)
    assert head_motion(angles + 10, centres - 50) == pytest.approx(value)
    assert head_motion(0 * angles, centres) == pytest.approx(np.sqrt(centres.var(axis=0).mean()))


def test_affect_tracks_are_averaged_over_clips() -> None:
    a, b = np.array([0.0, 0.5, 1.0]), np.array([0.0, 1.0, 0.0, 1.0])
    ccc, pearson = affect_track_agreement([a, b, np.zeros(3)], [a, 1 - b, np.array([0.1, 0.2, 0.3])])
    assert ccc == pytest.approx(0.0)
    assert pearson == pytest.approx(0.0)


def test_bad_input_is_refused() -> None:
    with pytest.raises(InputError, match="at least 2"):
        subject_consistency([[1.0, 0.0]])
    with pytest.raises(InputError, match="all zeros"):
        subject_consistency(np.zeros((3, 2)))
    with pytest.raises(InputError, match="at least 4"):
        jitter(np.zeros((3, 2)))
    with pytest.raises(InputError, match="fps"):
        jitter(np.zeros((5, 2)), fps=0)
    with pytest.raises(InputError, match=r"\(frames, d\)"):
        jitter(np.zeros(5))
    with pytest.raises(InputError, match="do not match"):
        head_motion(np.zeros((4, 3)), np.zeros((5, 2)))
    with pytest.raises(InputError, match="NaN"):
        head_motion(np.full((4, 3), np.nan), np.zeros((4, 2)))
    with pytest.raises(InputError, match="both"):
        affect_track_agreement([np.zeros(3)], [np.zeros(3)])
    with pytest.raises(InputError, match="do not match"):
        affect_track_agreement([np.zeros(3)], [])
