from __future__ import annotations

import numpy as np

from facebench.metrics import mean_std
from facebench.metrics.intervals import Units, bootstrap_images
from tests.metrics.intervals.coverage import covered


def test_the_mean_of_skewed_values_lies_in_its_interval() -> None:
    intervals = [
        bootstrap_images(mean_std, np.random.default_rng([1, seed]).lognormal(size=100), seed=seed)["mean"]
        for seed in range(120)
    ]
    assert 0.88 <= covered(intervals, float(np.exp(0.5))) <= 0.99
    assert intervals[0].method == "studentised_bootstrap"


def test_a_long_tail_moves_the_upper_end() -> None:
    values = np.random.default_rng(0).exponential(size=60)
    interval = bootstrap_images(mean_std, values)["mean"]
    assert interval.high - values.mean() > values.mean() - interval.low


def test_people_of_unequal_size_count_by_their_images() -> None:
    people = np.repeat(np.arange(60), np.arange(60) % 5 + 1)
    values = np.random.default_rng(0).standard_normal(60)[people]
    units = Units.of(people, kinds=["identity"])
    interval = bootstrap_images(mean_std, values, units=units)["mean"]
    assert interval.low < values.mean() < interval.high
    assert interval.unit == "identity"
