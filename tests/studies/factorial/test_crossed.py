"""Means with random people and targets: coverage on known truth, and tables without variance or with gaps."""

from __future__ import annotations

import numpy as np
import pytest

from facebench.studies.factorial.crossed import crossed_mean


def table(rng: np.random.Generator, people: int, targets: int, person: float, target: float) -> np.ndarray:
    return (
        person * rng.standard_normal((people, 1))
        + target * rng.standard_normal((1, targets))
        + 0.5 * rng.standard_normal((people, targets))
    )


@pytest.mark.parametrize(
    ("people", "targets", "person", "target"), [(8, 20, 0.3, 0.3), (8, 20, 1.0, 0.5), (4, 5, 0.5, 0.5)]
)
def test_intervals_hold_the_truth_as_often_as_they_say(
    people: int, targets: int, person: float, target: float
) -> None:
    rng = np.random.default_rng(0)
    means = [crossed_mean(table(rng, people, targets, person, target)) for _ in range(400)]
    held = np.mean([mean.low <= 0 <= mean.high for mean in means])
    assert 0.92 <= held <= 0.99  # 95 %, three standard errors of 400 draws below


def test_ordinary_intervals_would_be_far_too_narrow() -> None:
    mean = crossed_mean(table(np.random.default_rng(1), 8, 20, 1.0, 0.5))
    naive = 2 * 1.96 * np.std(table(np.random.default_rng(1), 8, 20, 1.0, 0.5)) / np.sqrt(160)
    assert mean.high - mean.low > 3 * naive


def test_the_mean_square_formula_equals_the_variance_components() -> None:
    """Equal columns: no target varies and no residual remains, so the t interval over people is left."""
    people = np.array([0.1, 0.4, 0.2, 0.9])
    mean = crossed_mean(np.repeat(people[:, None], 3, axis=1))
    alone = crossed_mean(people[:, None])
    assert mean.low == pytest.approx(alone.low, abs=1e-9)
    assert mean.high == pytest.approx(alone.high, abs=1e-9)


def test_gaps_are_bootstrapped_and_said() -> None:
    values = table(np.random.default_rng(2), 8, 20, 0.3, 0.3)
    full = crossed_mean(values)
    values[2, 3] = np.nan
    mean = crossed_mean(values)
    assert mean.method == "pigeonhole bootstrap with 8 people and 20 targets random, 1 gaps"
    assert mean.value == pytest.approx(full.value, abs=0.05)
    assert mean.low < mean.value < mean.high


def test_small_tables() -> None:
    assert crossed_mean(np.array([[0.3]])).low is None
    assert "1 person" not in crossed_mean(np.array([[0.3, 0.4]])).method
    same = crossed_mean(np.full((3, 4), 0.25))
    assert (same.value, same.low, same.high) == (0.25, 0.25, 0.25)
