"""Differences between runs: paired for equal images, independent otherwise."""

from __future__ import annotations

import numpy as np
import pytest

from facebench.compare.difference import Difference, difference
from tests.helpers.quality_runs import quality, with_quality
from tests.helpers.records import make_result, make_run


def test_half_widths_of_independent_intervals_add_in_squares() -> None:
    new, old = make_run("new", fd_lite0=2.0), make_run("old", fd_lite0=1.0)
    new.metrics["fd_lite0"] = make_result("fd_lite0", 2.0, low=1.7, high=2.3)
    old.metrics["fd_lite0"] = make_result("fd_lite0", 1.0, low=0.6, high=1.4)
    change = difference("fd_lite0", new, old)
    assert change is not None
    assert (change.low, change.high) == pytest.approx((0.5, 1.5))
    assert change.method == "independent intervals"


def test_a_skewed_interval_stays_skewed_in_the_difference() -> None:
    sure, unsure = make_run("old"), make_run("new")
    sure.metrics["fdr_sface"] = make_result("fdr_sface", 10.0, low=7.0, high=30.0)
    unsure.metrics["fdr_sface"] = make_result("fdr_sface", 1.0, low=0.0, high=5.0)
    found = difference("fdr_sface", unsure, sure)
    assert found is not None
    assert (found.value, found.low, found.high) == (-9, pytest.approx(-9 - 401**0.5), -4)


def test_the_paired_interval_covers_the_true_difference_at_its_level() -> None:
    covered = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        before = rng.normal(0.5, 0.1, 150)
        new = with_quality(make_run("new"), before + 0.05 + rng.normal(0, 0.05, 150))
        change = difference("face_quality_sface", new, with_quality(make_run("old"), before))
        assert change is not None
        covered += change.low <= 0.05 <= change.high
    assert covered >= 16  # at 95 %, fewer than 16 of 20 occur once in 400 runs


def test_images_without_a_face_are_excluded_from_the_paired_mean() -> None:
    before = quality()
    after = before.copy()
    after[:2] = np.nan
    change = difference(
        "face_quality_sface", with_quality(make_run("new"), after), with_quality(make_run("old"), before)
    )
    assert change is not None
    assert change.method == "paired over 198 images"
    assert change.low <= change.value <= change.high


def test_a_table_that_does_not_match_the_record_is_not_used() -> None:
    run, baseline = with_quality(make_run("new"), quality()), with_quality(make_run("old"), quality())
    baseline.metrics["face_quality_sface"].value = 0.7
    change = difference("face_quality_sface", run, baseline)
    assert change is not None
    assert change.method == "independent intervals"


@pytest.mark.parametrize(
    ("low", "high", "better", "verdict"),
    [
        (-1, 1, "lower", "same"),
        (1, 2, "lower", "worse"),
        (1, 2, "higher", "better"),
        (1, 2, "neither", "changed"),
    ],
)
def test_the_verdict_is_same_when_the_interval_contains_zero(low, high, better, verdict) -> None:
    assert Difference((low + high) / 2, low, high, "no interval").verdict(better) == verdict
