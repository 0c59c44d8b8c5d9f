"""Means with random trainings, people and targets: coverage on known truth, and what they reduce to."""

from __future__ import annotations

import numpy as np
import pytest

from facebench.studies.factorial.crossed import crossed_mean
from facebench.studies.factorial.trainings import mean_of_trainings, spread_of_trainings


def tables(rng: np.random.Generator, shape: tuple[int, int, int], sizes: tuple[float, ...]) -> np.ndarray:
    """Trainings, people and targets with their own effects, training × person, and residuals of 0.3."""
    s, p, t = shape
    training, person, target, both = sizes
    return (
        training * rng.standard_normal((s, 1, 1))
        + person * rng.standard_normal((1, p, 1))
        + target * rng.standard_normal((1, 1, t))
        + both * rng.standard_normal((s, p, 1))
        + 0.3 * rng.standard_normal((s, p, t))
    )


@pytest.mark.parametrize(
    ("shape", "sizes"),
    [
        ((3, 8, 20), (0.5, 0.3, 0.3, 0.0)),
        ((3, 8, 20), (0.1, 0.5, 0.3, 0.3)),
        ((5, 6, 8), (1.0, 0.2, 0.2, 0.2)),
        ((3, 8, 20), (0.0, 0.3, 0.3, 0.0)),
    ],
)
def test_intervals_hold_the_truth_as_often_as_they_say(
    shape: tuple[int, int, int], sizes: tuple[float, ...]
) -> None:
    rng = np.random.default_rng(0)
    means = [mean_of_trainings(tables(rng, shape, sizes)) for _ in range(400)]
    held = np.mean([mean.low <= 0 <= mean.high for mean in means])
    assert 0.92 <= held <= 0.99  # 95 %, three standard errors of 400 draws below


def test_without_trainings_as_random_the_interval_would_be_too_narrow() -> None:
    rng = np.random.default_rng(0)
    drawn = [tables(rng, (3, 8, 20), (1.0, 0.1, 0.1, 0.0)) for _ in range(200)]
    fixed = [crossed_mean(each.mean(axis=0)) for each in drawn]
    assert np.mean([mean.low <= 0 <= mean.high for mean in fixed]) < 0.5


def test_one_training_and_equal_trainings_give_the_interval_of_people_and_targets() -> None:
    table = np.random.default_rng(1).standard_normal((6, 8))
    alone = crossed_mean(table)
    assert mean_of_trainings(table[None]) == alone
    same = mean_of_trainings(np.stack([table] * 3))
    assert (same.low, same.high) == pytest.approx((alone.low, alone.high))
    assert "3 trainings, 6 people and 8 targets random" in same.method


def test_gaps_keep_the_spread_of_the_trainings() -> None:
    values = tables(np.random.default_rng(2), (3, 8, 20), (0.5, 0.1, 0.1, 0.0))
    full = mean_of_trainings(values)
    values[:, 2, 3] = np.nan
    gaps = mean_of_trainings(values)
    assert gaps.value == pytest.approx(full.value, abs=0.01)
    assert gaps.high - gaps.low == pytest.approx(full.high - full.low, rel=0.2)
    assert spread_of_trainings(values) == pytest.approx(np.nanmean(values, axis=(1, 2)).std(ddof=1))
