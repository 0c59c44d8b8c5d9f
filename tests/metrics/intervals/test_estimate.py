from __future__ import annotations

import functools

import numpy as np
import pytest

from facebench import metrics
from facebench.core.errors import InputError
from facebench.metrics.intervals import Interval, estimate, verification
from tests.metrics.intervals.coverage import covered


def images_of_people(
    rng: np.random.Generator, people: int, images: int, share: float
) -> tuple[np.ndarray, np.ndarray]:
    """Scores of which a share of the variance lies between people."""
    names = np.repeat(np.arange(people), images)
    between = np.sqrt(share) * rng.standard_normal(people)[names]
    return between + np.sqrt(1 - share) * rng.standard_normal(len(names)), names


def test_intervals_hold_for_new_people() -> None:
    def interval(seed: int) -> Interval:
        scores, names = images_of_people(np.random.default_rng([1, seed]), 60, 20, 0.3)
        return estimate(metrics.mean_std, scores, units=names, seed=seed)

    assert 0.90 <= covered([interval(seed) for seed in range(150)], 0.0) <= 0.99


def test_intervals_hold_for_new_sources_and_targets() -> None:
    source, target = (each.ravel() for each in np.indices((20, 20)))

    def interval(seed: int) -> Interval:
        rng = np.random.default_rng([2, seed])
        effects = 0.6 * rng.standard_normal(20)[source] + 0.5 * rng.standard_normal(20)[target]
        return estimate(np.mean, effects + rng.standard_normal(400), units=(source, target), seed=seed)

    intervals = [interval(seed) for seed in range(100)]
    assert 0.88 <= covered(intervals, 0.0) <= 1.0
    assert intervals[0].unit == "source × target"


def test_verification_intervals_hold_for_few_errors() -> None:
    def embeddings(rng: np.random.Generator, people: int) -> tuple[np.ndarray, np.ndarray]:
        names = np.repeat(np.arange(people), 4)
        return rng.standard_normal((people, 32))[names] + 0.6 * rng.standard_normal((len(names), 32)), names

    scores = metrics.pair_scores(*embeddings(np.random.default_rng(0), 800))
    truth = metrics.verification(scores.genuine, scores.impostor)
    intervals = [verification(*embeddings(np.random.default_rng([3, s]), 50), seed=s) for s in range(20)]
    for name in ("eer", "fmr100", "fmr1000", "auc", "genuine_mean"):
        assert covered([each[name] for each in intervals], getattr(truth, name)) >= 0.8, name


def test_every_way_to_give_units_means_the_same() -> None:
    scores, names = images_of_people(np.random.default_rng(0), 20, 5, 0.3)
    shifted = scores + 0.1
    first = estimate(metrics.mean_std, scores, units=names)
    assert first == estimate(metrics.mean_std, scores, units=[names])
    error = functools.partial(metrics.paired_delta)
    pair = estimate(error, scores, shifted, units=names)
    assert pair == estimate(error, scores, shifted, units=[names, names])


def test_two_sets_have_units_of_their_own() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((60, 4)), rng.standard_normal((80, 4))
    interval = estimate(metrics.frechet_distance, x, y, units=[np.arange(60) // 3, np.arange(80) // 4])
    assert (interval.method, interval.units) == ("jackknife", 20)


@pytest.mark.parametrize("units", [np.arange(9), [np.arange(10)] * 3 + [np.arange(10)[::-1]]])
def test_labels_that_do_not_match_are_refused(units: object) -> None:
    with pytest.raises(InputError, match="units"):
        estimate(metrics.mean_std, np.arange(10.0), units=units)
