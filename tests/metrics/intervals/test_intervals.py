from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import pytest

from facebench.core.errors import InputError
from facebench.metrics import (
    affect_agreement,
    blocked_verification,
    class_agreement,
    density_coverage,
    frechet_distance,
    kernel_distance,
    mean_std,
    mmd_rbf,
    pair_scores,
    paired_similarity,
    precision_recall,
    vendi_score,
    verification,
)
from facebench.metrics.intervals import (
    Interval,
    bootstrap_identities,
    bootstrap_images,
    jackknife,
    jackknife_identities,
)
from facebench.metrics.intervals import identity as identity_intervals
from facebench.metrics.verification import summarise
from tests.helpers.metric_inputs import gaussian

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


def covered(intervals: list[Interval], truth: float) -> float:
    return float(np.mean([interval.low <= truth <= interval.high for interval in intervals]))


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
    # As text: of one image the correlation is NaN, which equals nothing.
    assert repr(at_once) == repr(one_by_one)


def people(seed: int, count: int, images: int) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings of identities that differ in how easily they are recognised."""
    rng = np.random.default_rng(seed)
    names = np.repeat(np.arange(count), images)
    blur = rng.uniform(0.5, 2.0, count)[names, None]
    return rng.standard_normal((count, 12))[names] + blur * rng.standard_normal((len(names), 12)), names


def test_bootstrap_over_identities_holds_the_expected_statistics() -> None:
    def statistics(seed: int) -> tuple[float, float]:
        scores = pair_scores(*people(seed, 25, 4))
        result = verification(scores.genuine, scores.impostor)
        return result.eer, result.genuine_mean

    eer, mean = np.mean([statistics(5000 + seed) for seed in range(150)], axis=0)
    intervals = [
        bootstrap_identities(pair_scores(*people(s, 25, 4)), resamples=100, seed=s) for s in range(60)
    ]
    assert 0.83 <= covered([i["eer"] for i in intervals], float(eer)) <= 1.0
    assert 0.83 <= covered([i["genuine_mean"] for i in intervals], float(mean)) <= 1.0


def test_resampling_pairs_instead_would_be_far_too_sure() -> None:
    scores = pair_scores(*people(0, 15, 12))
    by_identity = bootstrap_identities(scores, resamples=200)["genuine_mean"]
    by_pair = bootstrap_images(mean_std, scores.genuine, resamples=200)["mean"]
    assert by_identity.high - by_identity.low > 2 * (by_pair.high - by_pair.low)


def test_an_identity_drawn_once_each_gives_the_plain_statistics() -> None:
    scores = pair_scores(*people(0, 12, 5))
    table = identity_intervals._Table.of(scores)
    plain = verification(scores.genuine, scores.impostor)
    weighted = table.statistics(np.ones(12), summarise)
    assert weighted is not None
    for name, value in weighted.items():
        assert value == pytest.approx(getattr(plain, name), rel=1e-9, abs=1e-12), name


def test_streamed_identities_give_nearly_the_bootstrap_interval() -> None:
    x, names = people(3, 60, 6)
    streamed = jackknife_identities(x, names, groups=30, block=128)
    drawn = bootstrap_identities(pair_scores(x, names), resamples=300)
    value = blocked_verification(x, names).statistics
    for name in ("eer", "genuine_mean", "impostor_std", "d_prime"):
        assert streamed[name].low < getattr(value, name) < streamed[name].high
        widths = [i[name].high - i[name].low for i in (streamed, drawn)]
        assert 0.6 < widths[0] / widths[1] < 1.7, name


def test_leaving_identities_out_by_subtraction_is_leaving_them_out() -> None:
    x, names = people(4, 12, 5)
    y, others = people(5, 12, 3)
    for sets in ((x, names), (x, names, y, others)):
        reference = sets[2:] or (None, None)
        gallery, groups = identity_intervals._dealt(*sets[:2], *reference, 4, 0)
        histogram = identity_intervals._Histogram(groups)
        for a, b, part in identity_intervals._parts(gallery, 16):
            histogram.add(a, b, part.split()[1])
        dealt = {name.split("/")[1]: int(name.split("/")[0]) for name in gallery.names}
        for group in range(groups):
            kept = [np.array([dealt[str(n)] != group for n in side]) for side in sets[1::2]]
            halves = [sets[start : start + 2] for start in range(0, len(sets), 2)]
            rest = pair_scores(*(part[k] for k, half in zip(kept, halves, strict=True) for part in half))
            assert (histogram.total - histogram.touched[group]).sum() == len(rest.impostor)


def test_the_seed_decides_and_is_all_that_decides() -> None:
    x, y = gaussian(0, 60, 3), gaussian(1, 60, 3)
    scores = pair_scores(*people(0, 12, 4))
    for make in (
        lambda seed: jackknife(frechet_distance, x, y, seed=seed),
        lambda seed: bootstrap_images(mean_std, x[:, 0], seed=seed, resamples=50),
        lambda seed: bootstrap_identities(scores, seed=seed, resamples=20),
    ):
        assert make(1) == make(1)
        assert make(1) != make(2)


def test_few_samples_are_pointed_out() -> None:
    assert "10 images" in bootstrap_images(mean_std, np.arange(10.0))["mean"].note
    assert "12 images" in jackknife(frechet_distance, gaussian(0, 12, 2), gaussian(1, 50, 2))["value"].note
    assert "4 identities" in bootstrap_identities(pair_scores(*people(0, 4, 4)), resamples=20)["eer"].note
    assert bootstrap_images(mean_std, np.arange(50.0))["mean"].note == ""


def test_undefined_resamples_are_counted() -> None:
    target = np.zeros(40)
    target[0] = 1.0
    interval = bootstrap_images(affect_agreement, target, target, resamples=200)["pearson"]
    assert "undefined in" in interval.note
    assert interval.resamples < 200


def test_intervals_stay_within_the_range_of_the_metric() -> None:
    x, y = gaussian(0, 40, 2), gaussian(1, 40, 2)
    interval = jackknife(precision_recall, x, y, within=(0.0, 1.0))["precision"]
    assert 0.0 <= interval.low <= interval.high <= 1.0


def test_paired_rows_are_left_out_together() -> None:
    x = gaussian(0, 200, 3)
    noise = 0.05 * gaussian(1, 200, 3)
    paired, free = (jackknife(frechet_distance, x + noise, x, paired=p)["value"] for p in (True, False))
    assert paired.high - paired.low < free.high - free.low


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(InputError, match="too few"):
        jackknife(frechet_distance, np.eye(3), np.eye(3))
    with pytest.raises(InputError, match="k = 3"):
        jackknife(precision_recall, gaussian(0, 5, 2), gaussian(1, 5, 2))
    with pytest.raises(InputError, match="one length"):
        bootstrap_images(mean_std, np.empty(0))
    with pytest.raises(InputError, match="too few"):
        jackknife_identities(np.eye(3), ["a", "b", "c"])
    with pytest.raises(InputError, match="equal numbers"):
        jackknife(frechet_distance, np.eye(8), np.eye(8)[:6], paired=True)
