from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import pytest

from facebench.core.errors import InputError
from facebench.metrics import (
    affect_agreement,
    class_agreement,
    mean_std,
    paired_similarity,
)
from facebench.metrics.intervals import Units, bootstrap_images
from tests.metrics.intervals.coverage import covered


def test_bootstrap_over_images_holds_the_mean() -> None:
    rng = np.random.default_rng(0)
    intervals = [
        bootstrap_images(mean_std, rng.exponential(1.0, 60), resamples=200, seed=s)["mean"]
        for s in range(150)
    ]
    assert 0.87 <= covered(intervals, 1.0) <= 0.99


def test_pairs_are_resampled_together() -> None:
    rng = np.random.default_rng(1)
    target = rng.uniform(-1, 1, 200)
    intervals = bootstrap_images(affect_agreement, target, target + 0.1, resamples=100)
    assert intervals["mean_delta"].high - intervals["mean_delta"].low < 1e-9
    assert set(intervals) == {"mae", "rmse", "pearson", "ccc", "sagr", "mean_delta"}


@pytest.mark.parametrize("n", [1, 7, 700])
@pytest.mark.parametrize("function", [mean_std, affect_agreement, class_agreement, paired_similarity])
def test_many_resamples_in_one_step_give_the_intervals_of_one_by_one(
    function: Callable[..., object], n: int
) -> None:
    rng = np.random.default_rng(n)
    shape = (n,) if function in (mean_std, affect_agreement) else (n, 6)
    # Rounded: some resamples are constant, and their correlations undefined.
    arrays = [np.round(rng.random(shape), 1) + 0.1 for _ in range(1 if function is mean_std else 2)]
    one_by_one = bootstrap_images(lambda *drawn: function(*drawn), *arrays, resamples=300)
    at_once = bootstrap_images(functools.partial(function), *arrays, resamples=300)
    assert at_once.keys() == one_by_one.keys()
    for name, interval in at_once.items():
        single = one_by_one[name]
        assert interval.resamples == single.resamples, name
        assert interval.leave_out == pytest.approx(single.leave_out, rel=1e-9, abs=1e-9, nan_ok=True), name


def test_undefined_resamples_are_counted() -> None:
    target = np.zeros(40)
    target[0] = 1.0
    interval = bootstrap_images(affect_agreement, target, target, resamples=200)["pearson"]
    assert "undefined in" in interval.note
    assert interval.resamples < 200


def test_the_seed_changes_the_interval() -> None:
    values = np.random.default_rng(0).standard_normal(40)
    first, second = (bootstrap_images(mean_std, values, seed=seed, resamples=50) for seed in (1, 2))
    assert first == bootstrap_images(mean_std, values, seed=1, resamples=50)
    assert first != second


def test_images_of_one_person_do_not_count_as_independent() -> None:
    people = np.repeat(np.arange(60), 10)
    scores = np.random.default_rng(2).standard_normal(60)[people]
    units = Units.of(people, kinds=["identity"])
    by_person = bootstrap_images(mean_std, scores, units=units)["mean"]
    by_image = bootstrap_images(mean_std, scores)["mean"]
    assert by_person.high - by_person.low > 2 * (by_image.high - by_image.low)
    assert (by_person.unit, by_person.units, by_person.note) == ("identity", 60, "")


def test_a_share_without_any_error_has_the_bound_of_clopper_and_pearson() -> None:
    same = np.eye(2)[np.zeros(100, dtype=int)]
    interval = bootstrap_images(class_agreement, same, same)["mean"]
    assert (round(interval.low, 4), interval.high) == (0.9638, 1.0)
    assert interval.method.endswith("Clopper-Pearson")


def test_few_images_are_noted() -> None:
    assert "10 images" in bootstrap_images(mean_std, np.arange(10.0))["mean"].note
    assert bootstrap_images(mean_std, np.arange(50.0))["mean"].note == ""


def test_no_rows_are_refused() -> None:
    with pytest.raises(InputError, match="one length"):
        bootstrap_images(mean_std, np.empty(0))
