from __future__ import annotations

import numpy as np
import pytest

from facebench.core.errors import InputError
from facebench.metrics import membership
from facebench.metrics.intervals.jackknife import jackknife
from facebench.metrics.membership import membership_leave_out
from tests.helpers.metric_inputs import gaussian


def test_without_memory_the_area_is_a_half_and_p_is_uniform() -> None:
    answers = [membership(*np.split(gaussian(seed, 450, 6), 3)) for seed in range(40)]
    assert np.mean([answer.auc for answer in answers]) == pytest.approx(0.5, abs=0.02)
    assert 0 <= sum(answer.p < 0.05 for answer in answers) <= 6


def test_copies_of_training_rows_are_noticed() -> None:
    points = gaussian(1, 600, 6)
    training, held_out, strangers = np.split(points, 3)
    generated = np.concatenate([strangers[:150], training[:50] + 0.01])
    answer = membership(generated, training, held_out)
    assert answer.auc == pytest.approx(
        0.625, abs=0.05
    )  # a quarter of the training rows is nearer than any other
    assert answer.p < 0.001
    assert answer.ratio < 1


def test_an_empty_set_and_another_width_are_refused() -> None:
    with pytest.raises(InputError):
        membership(gaussian(0, 5, 2), gaussian(1, 5, 2), np.zeros((0, 2)))
    with pytest.raises(InputError):
        membership(gaussian(0, 5, 2), gaussian(1, 5, 2), gaussian(2, 5, 3))


def test_leaving_out_groups_in_one_pass_equals_computing_each() -> None:
    sides = np.split(gaussian(2, 90, 3), [40, 65])
    labels = [np.random.default_rng(place).integers(0, 6, len(side)) for place, side in enumerate(sides)]
    for g, quick in enumerate(membership_leave_out(sides, labels, 6)):
        slow = membership(*(side[label != g] for side, label in zip(sides, labels, strict=True)))
        assert (quick.auc, quick.ratio) == pytest.approx((slow.auc, slow.ratio))


def test_the_interval_covers_a_half_without_memory() -> None:
    covered = 0
    for seed in range(24):
        generated, training, held_out = np.split(gaussian(seed, 240, 5), [80, 160])
        interval = jackknife(membership, generated, training, held_out, groups=20)["auc"]
        covered += interval.low <= 0.5 <= interval.high
    assert covered >= 20  # 1 % quantile of 24 trials at 95 %


def test_the_interval_of_copied_rows_lies_above_a_half() -> None:
    generated, training, held_out = np.split(gaussian(1, 300, 5), 3)
    interval = jackknife(membership, np.concatenate([generated, training[:40] + 0.01]), training, held_out)
    assert interval["auc"].low > 0.5
