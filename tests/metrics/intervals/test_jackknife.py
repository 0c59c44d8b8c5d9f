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
from facebench.metrics.intervals import (
    jackknife,
)
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
        assert (interval.low, interval.high) == pytest.approx(
            (slow[key].low, slow[key].high), rel=1e-6, abs=1e-9
        )


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


def test_intervals_stay_within_the_range_of_the_metric() -> None:
    x, y = gaussian(0, 40, 2), gaussian(1, 40, 2)
    interval = jackknife(precision_recall, x, y, within=(0.0, 1.0))["precision"]
    assert 0.0 <= interval.low <= interval.high <= 1.0


def test_paired_rows_are_left_out_together() -> None:
    x = gaussian(0, 200, 3)
    noise = 0.05 * gaussian(1, 200, 3)
    paired, free = (jackknife(frechet_distance, x + noise, x, paired=p)["value"] for p in (True, False))
    assert paired.high - paired.low < free.high - free.low


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
    with pytest.raises(InputError, match="equal numbers"):
        jackknife(frechet_distance, np.eye(8), np.eye(8)[:6], paired=True)
