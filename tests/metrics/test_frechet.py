from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given
from hypothesis import strategies as st

from facebench.core.errors import InputError
from facebench.metrics import Moments, clipped_mass, frechet_distance, frechet_infinity
from facebench.metrics.frechet import nuclear_norm
from tests.helpers.metric_inputs import Golden, few, gaussian, two_sets

GOLDEN = Golden("distribution_metrics")


@pytest.mark.parametrize("case", ["main", "n_below_d", "n_below_d_unequal", "lattice"])
def test_golden_distances(case: str) -> None:
    expected = GOLDEN.value(case, "fd.exact")
    assert frechet_distance(*GOLDEN.sides(case)) == pytest.approx(expected, rel=1e-9)


def test_the_distance_of_a_set_to_itself_is_zero() -> None:
    for case in ("identical", "n_below_d", "main"):
        features = GOLDEN.sides(case)[0].astype(np.float64)
        trace = np.cov(features, rowvar=False).trace()
        assert frechet_distance(features, features) <= 1e-8 * trace


def test_well_conditioned_input_gives_the_result_of_scipy() -> None:
    x, y = gaussian(0, 400, 32), gaussian(1, 300, 32, 0.5)
    step = x.mean(axis=0) - y.mean(axis=0)
    sx, sy = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    expected = step @ step + np.trace(sx + sy - 2 * scipy.linalg.sqrtm(sx @ sy).real)
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-8)


def test_commuting_covariances_give_the_closed_form() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((500, 6))
    x = np.linalg.qr(x - x.mean(axis=0))[0] * np.sqrt(499)
    scales = np.array([1.0, 2.0, 3.0, 0.5, 1e-9, 0.0])
    assert frechet_distance(x * scales, x) == pytest.approx(float(((scales - 1) ** 2).sum()), rel=1e-8)


@pytest.mark.parametrize(("n", "m"), [(40, 300), (300, 40), (65, 300), (64, 64)])
def test_one_small_side_is_as_exact_as_two(n: int, m: int) -> None:
    x, y = gaussian(2, n, 64), gaussian(3, m, 64)
    root = np.linalg.svd((x - x.mean(0)) @ (y - y.mean(0)).T, compute_uv=False).sum()
    step, traces = x.mean(0) - y.mean(0), np.cov(x.T).trace() + np.cov(y.T).trace()
    expected = step @ step + traces - 2 * root / np.sqrt((n - 1) * (m - 1))
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-9)


def test_singular_covariances_of_many_rows_lose_nothing() -> None:
    rng = np.random.default_rng(4)
    flat = rng.standard_normal((500, 8)) @ rng.standard_normal((8, 40))
    full = rng.standard_normal((500, 40))
    root = np.linalg.svd((flat - flat.mean(0)) @ (full - full.mean(0)).T, compute_uv=False).sum() / 499
    step = flat.mean(0) - full.mean(0)
    expected = step @ step + np.cov(flat.T).trace() + np.cov(full.T).trace() - 2 * root
    assert frechet_distance(flat, full) == pytest.approx(expected, rel=1e-9)


def test_moments_of_a_singular_covariance_agree_to_a_millionth_and_report_the_clipped_mass() -> None:
    x, y = GOLDEN.sides("n_below_d")
    moments = Moments.of(x), Moments.of(y)
    assert frechet_distance(*moments) == pytest.approx(GOLDEN.value("n_below_d", "fd.exact"), rel=1e-6)
    assert 0.0 < clipped_mass(moments[0]) < 1e-12


def test_the_distance_of_constant_features_is_that_of_their_means() -> None:
    assert frechet_distance(np.zeros((5, 3)), np.full((9, 3), 2.0)) == pytest.approx(12.0)


@few
@given(two_sets())
def test_the_distance_is_symmetric_and_not_negative(sides: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = sides
    assert frechet_distance(x, y) >= 0.0
    scale = float(np.var(x, axis=0).sum() + np.var(y, axis=0).sum()) + 1e-6
    assert frechet_distance(x, y) == pytest.approx(frechet_distance(y, x), rel=1e-6, abs=1e-9 * scale)


@few
@given(two_sets(), st.integers(0, 1000))
def test_order_of_rows_rotation_and_shift_do_not_matter(
    sides: tuple[np.ndarray, np.ndarray], seed: int
) -> None:
    x, y = (side.astype(np.float64) for side in sides)
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(rng.standard_normal((x.shape[1], x.shape[1])))[0]
    shift = rng.standard_normal(x.shape[1])
    moved = frechet_distance(rng.permutation(x) @ rotation + shift, rng.permutation(y) @ rotation + shift)
    scale = float(np.var(x, axis=0).sum() + np.var(y, axis=0).sum()) + 1e-3
    assert moved == pytest.approx(frechet_distance(x, y), rel=1e-6, abs=1e-8 * scale)


@few
@given(two_sets(smallest=3))
def test_merged_shards_are_the_whole_and_taking_one_out_leaves_the_other(
    sides: tuple[np.ndarray, np.ndarray],
) -> None:
    x, y = sides
    whole = Moments.of(np.concatenate([x, y]))
    merged = Moments.of(x).merge(Moments.of(y))
    left = merged.without(Moments.of(y))
    size = np.abs(whole.scatter).max() + np.abs(whole.mean).max() ** 2 * whole.n + 1e-12
    assert merged.n == whole.n
    assert np.allclose(merged.scatter, whole.scatter, rtol=0, atol=1e-10 * size)
    assert np.allclose(left.mean, Moments.of(x).mean, rtol=0, atol=1e-9 * (1 + np.abs(whole.mean).max()))
    assert np.allclose(left.scatter, Moments.of(x).scatter, rtol=0, atol=1e-9 * size)


def test_streamed_moments_are_those_of_numpy_far_from_zero() -> None:
    x = gaussian(5, 9000, 8) + 1e6
    assert np.allclose(Moments.of(x).covariance, np.cov(x, rowvar=False), rtol=1e-9)


def test_memory_maps_and_float32_give_the_same_number(tmp_path: object) -> None:
    x = gaussian(6, 200, 8).astype(np.float32)
    np.save(f"{tmp_path}/x.npy", x)
    mapped = np.load(f"{tmp_path}/x.npy", mmap_mode="r")
    y = gaussian(7, 150, 8)
    assert frechet_distance(mapped, y) == frechet_distance(x.astype(np.float64), y)


@pytest.mark.parametrize(
    "spectrum", [np.ones(30), np.geomspace(1, 1e-9, 30), np.r_[np.ones(5), np.zeros(25)]]
)
def test_nuclear_norms_are_right_for_every_spectrum(spectrum: np.ndarray) -> None:
    rng = np.random.default_rng(8)
    u, v = (np.linalg.qr(rng.standard_normal((40, 30)))[0] for _ in range(2))
    assert nuclear_norm(u * spectrum @ v.T) == pytest.approx(spectrum.sum(), rel=1e-10)


def test_extrapolation_removes_the_bias_of_both_sides() -> None:
    rng = np.random.default_rng(9)
    x, y = rng.standard_normal((1000, 40)), rng.standard_normal((800, 40)) + 0.1
    truth = 40 * 0.1**2
    result = frechet_infinity(x, y)
    value, interval = result
    assert (value, interval) == (result.value, result.interval)
    assert result.distance == frechet_distance(x, y)
    assert abs(result.value - truth) < 0.25 * abs(result.distance - truth)
    assert result.interval.low < truth < result.interval.high


def test_extrapolation_of_a_small_set_with_wide_features_is_exact_on_average() -> None:
    values = []
    for seed in range(12):
        rng = np.random.default_rng([12, seed])
        x, y = rng.standard_normal((200, 64)), rng.standard_normal((200, 64)) + 0.25
        values.append(frechet_infinity(x, y).value)
    # A straight line in 1/n through subsets of these sizes is off by several times the truth of 4.
    assert abs(np.mean(values) - 4.0) < 0.5


@pytest.mark.parametrize(
    ("generated", "reference", "message"),
    [
        (np.zeros((1, 3)), np.zeros((4, 3)), "generated: 1 rows"),
        (np.zeros((4, 3)), np.zeros((0, 3)), "reference: 0 rows"),
        (np.zeros((4, 3)), np.zeros((4, 2)), "3 features, reference has 2"),
        (np.zeros(4), np.zeros((4, 2)), "shape"),
        (np.full((4, 3), np.nan), np.zeros((4, 3)), "row 0 holds NaN"),
        (np.zeros((4, 3), dtype=complex), np.zeros((4, 3)), "real numbers"),
    ],
)
def test_unusable_input_is_refused_with_a_reason(
    generated: np.ndarray, reference: np.ndarray, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        frechet_distance(generated, reference)


def test_extrapolation_needs_three_rows_per_feature_on_both_sides() -> None:
    rows = np.random.default_rng(0).standard_normal((30, 8))
    with pytest.raises(InputError, match=r"generated: 20 images.* 24"):
        frechet_infinity(rows[:20], rows)
    with pytest.raises(InputError, match="reference: 23 images"):
        frechet_infinity(rows, rows[:23])
