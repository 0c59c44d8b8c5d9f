"""Trade-off of expression and identity over the strengths of an edit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facebench.core.errors import InputError
from facebench.metrics.edit_trade_off import edit_trade_off
from facebench.metrics.intervals import estimate
from tests.helpers.metric_inputs import few


def test_a_perfect_strength_gives_1_and_an_editor_that_changes_nothing_what_was_there() -> None:
    nothing = np.zeros((10, 3))
    assert edit_trade_off(nothing, np.ones((10, 3))).area == 0.0
    assert edit_trade_off(np.ones((10, 3)), np.ones((10, 3))).area == 1.0
    happy = np.repeat([[1.0] * 3, [0.0] * 3], [3, 7], axis=0)
    assert edit_trade_off(happy, np.ones((10, 3))).area == pytest.approx(0.3)


def test_the_area_is_that_of_the_staircase_through_the_strengths() -> None:
    gained = np.array([[0, 0, 1], [0, 1, 1], [0, 1, 1], [1, 1, 1]])  # shares 0.25, 0.75, 1
    kept = np.array([[1, 1, 0], [1, 1, 0], [1, 0, 0], [1, 1, 1]])  # shares 1, 0.75, 0.25
    assert edit_trade_off(gained, kept).area == pytest.approx(0.25 * 1 + 0.5 * 0.75 + 0.25 * 0.25)
    order = [2, 0, 1]
    assert edit_trade_off(gained[:, order], kept[:, order]).area == edit_trade_off(gained, kept).area


@few
@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(1, 5))
def test_more_strengths_never_lower_the_area_which_is_a_share(seed: int, faces: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    gained, kept = rng.integers(0, 2, (2, faces, k + 1))
    whole, part = edit_trade_off(gained, kept).area, edit_trade_off(gained[:, :k], kept[:, :k]).area
    assert 0.0 <= part <= whole + 1e-12 <= 1.0 + 2e-12


def test_intervals_resample_the_faces() -> None:
    rng = np.random.default_rng(0)
    gained = (rng.random((60, 4)) < np.linspace(0.1, 0.9, 4)).astype(float)
    kept = (rng.random((60, 4)) < np.linspace(0.95, 0.5, 4)).astype(float)
    interval = estimate(edit_trade_off, gained, kept)
    assert interval.low < edit_trade_off(gained, kept).area < interval.high
    assert interval.high - interval.low < 0.35


def test_other_shapes_and_values_are_refused() -> None:
    with pytest.raises(InputError, match="do not match"):
        edit_trade_off(np.ones((3, 2)), np.ones((3, 3)))
    with pytest.raises(InputError, match="0 and 1"):
        edit_trade_off(np.full((3, 2), 0.5), np.ones((3, 2)))
