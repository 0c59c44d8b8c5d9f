from __future__ import annotations

import functools

import numpy as np
import pytest

from facebench.core.errors import InputError
from facebench.metrics import (
    density_coverage,
    frechet_distance,
    kernel_distance,
    mmd_rbf,
    precision_recall,
    vendi_score,
)
from facebench.metrics.intervals import Units, jackknife
from facebench.metrics.units import deal_sides
from tests.helpers.metric_inputs import gaussian
from tests.metrics.intervals.coverage import covered

QUICK = {
    "frechet": frechet_distance,
    "kid": kernel_distance,
    "cmmd": mmd_rbf,
    "unbiased mmd": functools.partial(mmd_rbf, biased=False, sigma=1.0),
    "precision": precision_recall,
    "strict precision": functools.partial(precision_recall, k=5, strict=True),
    "density": density_coverage,
}


@pytest.mark.parametrize("name", QUICK)
@pytest.mark.parametrize(("n", "m", "d"), [(90, 70, 5), (50, 60, 100), (60, 200, 100), (120, 100, 2)])
def test_one_pass_leaves_out_what_many_passes_leave_out(name: str, n: int, m: int, d: int) -> None:
    x, y = gaussian(0, n, d), gaussian(1, m, d, 0.2)
    if d == 2:
        x, y = x.round(), y.round()
    metric = QUICK[name]
    quick = jackknife(metric, x, y, groups=6)
    slow = jackknife(lambda generated, reference: metric(generated, reference), x, y, groups=6)
    assert quick.keys() == slow.keys()
    for key, interval in quick.items():
        assert interval.leave_out == pytest.approx(slow[key].leave_out, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(("n", "d"), [(60, 80), (200, 5)])
def test_vendi_leaves_out_in_one_pass(n: int, d: int) -> None:
    x = gaussian(0, n, d)
    quick, slow = jackknife(vendi_score, x, groups=5), jackknife(lambda g: vendi_score(g), x, groups=5)
    assert (quick["value"].low, quick["value"].high) == pytest.approx(
        (slow["value"].low, slow["value"].high), rel=1e-9
    )


@pytest.mark.parametrize(
    ("metric", "field"),
    [(frechet_distance, "value"), (kernel_distance, "value"), (precision_recall, "precision")],
)
def test_jackknife_intervals_hold_the_expected_number(metric: object, field: str) -> None:
    mixing = np.eye(3) + 0.2

    def sets(seed: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(seed)
        return rng.standard_normal((150, 3)) @ mixing + 0.5, rng.standard_normal((120, 3))

    expected = np.mean([_number(metric, *sets(1000 + seed), field) for seed in range(300)])
    intervals = [jackknife(metric, *sets(seed), groups=15)[field] for seed in range(80)]  # type: ignore[arg-type]
    assert 0.86 <= covered(intervals, float(expected)) <= 1.0


def _number(metric: object, x: np.ndarray, y: np.ndarray, field: str) -> float:
    result = metric(x, y)  # type: ignore[operator]
    return float(result if field == "value" else getattr(result, field))


def test_shares_stay_within_their_range() -> None:
    x, y = gaussian(0, 40, 2), gaussian(1, 40, 2)
    interval = jackknife(precision_recall, x, y)["precision"]
    assert 0.0 <= interval.low <= interval.high <= 1.0


def test_people_make_the_interval_of_a_distance_wider_than_images_do() -> None:
    people = np.repeat(np.arange(40), 10)
    x, y = (gaussian(seed, 40, 8)[people] + gaussian(seed + 10, 400, 8) for seed in (0, 1))
    by_image = jackknife(frechet_distance, x, y)["value"]
    units = [Units.of(people, kinds=["identity"]), Units.of(people + 1000, kinds=["identity"])]
    by_person = jackknife(frechet_distance, x, y, units=units)["value"]
    assert by_person.high - by_person.low > 1.5 * (by_image.high - by_image.low)
    assert (by_person.unit, by_person.units, by_person.resamples) == ("identity", 40, 40)
    assert "40 identities, below 50" in by_person.note


def test_groups_of_the_reference_do_not_depend_on_the_generated_side() -> None:
    factors = [Units.rows(n).factors[0] for n in (80, 90, 120)]
    first, second = (deal_sides([side, factors[2]], 10, seed=3) for side in factors[:2])
    assert np.array_equal(first[1], second[1])


def test_a_person_on_both_sides_is_left_out_of_both() -> None:
    people = Units.of(np.arange(12), kinds=["identity"]).factors[0]
    twice = Units.of(np.repeat(np.arange(12), 2), kinds=["identity"]).factors[0]
    single, double = deal_sides([people, twice], 6, seed=0)
    assert np.array_equal(np.repeat(single, 2), double)


def test_the_seed_changes_the_interval() -> None:
    x, y = gaussian(0, 60, 3), gaussian(1, 60, 3)
    assert jackknife(frechet_distance, x, y, seed=1) == jackknife(frechet_distance, x, y, seed=1)
    assert jackknife(frechet_distance, x, y, seed=1) != jackknife(frechet_distance, x, y, seed=2)


def test_few_rows_are_noted() -> None:
    assert "12 images" in jackknife(frechet_distance, gaussian(0, 12, 2), gaussian(1, 50, 2))["value"].note


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(InputError, match="too few"):
        jackknife(frechet_distance, np.eye(3), np.eye(3))
    with pytest.raises(InputError, match="k = 3"):
        jackknife(precision_recall, gaussian(0, 5, 2), gaussian(1, 5, 2))
    with pytest.raises(InputError, match="6 units for 8 rows"):
        jackknife(frechet_distance, np.eye(8), np.eye(8), units=[Units.rows(6), Units.rows(8)])
