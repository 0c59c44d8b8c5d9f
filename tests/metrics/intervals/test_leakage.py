"""Intervals of the leaked share: the threshold is as uncertain as the training set is small."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from facebench.metrics.intervals.leakage import leakage_intervals
from facebench.metrics.leakage import LeakageScores, leakage_scores
from facebench.metrics.units import Units
from tests.metrics.test_leakage import people


def scores_of(rng: np.random.Generator, count: int, images: int, generated: int) -> LeakageScores:
    training, names = people(rng, count, images), [str(i // images) for i in range(count * images)]
    return leakage_scores(people(rng, generated, 1), training, names)


def test_intervals_contain_the_expected_share_where_nobody_is_copied() -> None:
    """100 people × 5 photographs; the threshold alone rests on the one or two most similar people."""
    rng = np.random.default_rng(0)
    found = [scores_of(rng, 100, 5, 200) for _ in range(60)]
    expected = float(np.mean([scores.summary().share for scores in found]))
    ends = [leakage_intervals(scores)["share"] for scores in found]
    assert expected == pytest.approx(0.01, abs=0.006)
    assert np.mean([end.low <= expected <= end.high for end in ends]) >= 0.9
    assert np.mean([end.high - end.low for end in ends]) < 0.07


def test_more_training_people_make_the_threshold_surer() -> None:
    rng = np.random.default_rng(1)
    widths = []
    for count in (60, 600):
        scores = scores_of(rng, count, 3, 200)
        threshold = leakage_intervals(scores)["threshold"]
        assert threshold.low <= scores.threshold <= threshold.high
        widths.append(threshold.high - threshold.low)
    assert widths[1] < widths[0] / 2


def test_faces_of_a_person_count_once() -> None:
    rng = np.random.default_rng(2)
    training, names = people(rng, 300, 3), [str(i // 3) for i in range(900)]
    strangers, copies = people(rng, 20, 10), np.repeat(training[::90], 10, axis=0)
    generated = np.concatenate([strangers, copies])
    scores = leakage_scores(generated, training, names)
    owners = Units.of([str(i // 10) for i in range(len(generated))], kinds=["identity"])
    apart, together = leakage_intervals(scores), leakage_intervals(scores, owners)
    assert together["share"].unit == "identity"
    width, narrow = (each["share"].high - each["share"].low for each in (together, apart))
    assert width > 2 * narrow


def test_ends_stay_within_zero_and_one() -> None:
    rng = np.random.default_rng(3)
    training, names = people(rng, 50, 4), [str(i // 4) for i in range(200)]
    copied = leakage_intervals(leakage_scores(training, training, names))["share"]
    assert copied.high == 1.0
    assert copied.low > 0.9
    scores = leakage_scores(training[:40], training, names)
    nobody = leakage_intervals(replace(scores, generated=np.full(40, -1.0)))["share"]
    assert nobody.low == 0.0
    assert 0.05 < nobody.high < 0.2
