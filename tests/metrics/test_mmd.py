from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facebench.core.errors import InputError
from facebench.metrics import kernel_distance, mmd, mmd_rbf
from tests.helpers.metric_inputs import Golden, few, gaussian, two_sets

GOLDEN = Golden("distribution_metrics")
CASES = ["main", "n_below_d", "n_below_d_unequal", "lattice", "identical"]


def unit(features: np.ndarray) -> np.ndarray:
    rows = features.astype(np.float64)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize("case", CASES)
def test_golden_kid_over_all_samples(case: str) -> None:
    generated, reference = GOLDEN.sides(case)
    assert kernel_distance(generated, reference) == pytest.approx(
        GOLDEN.value(case, "kid.unbiased_full_set"), rel=1e-7
    )
    n = min(len(generated), len(reference))
    assert kernel_distance(generated[:n], reference[:n]) == pytest.approx(
        GOLDEN.value(case, "kid.torch_fidelity_full_first_n"), rel=1e-7
    )


@pytest.mark.parametrize("case", CASES)
def test_golden_cmmd(case: str) -> None:
    generated, reference = GOLDEN.sides(case)
    assert mmd_rbf(generated, reference) == pytest.approx(
        GOLDEN.value(case, "cmmd.raw_float64"), rel=1e-9, abs=1e-9
    )
    assert mmd_rbf(unit(generated), unit(reference)) == pytest.approx(
        GOLDEN.value(case, "cmmd.l2_normalised_float64"), rel=1e-9, abs=1e-9
    )


def test_subsets_are_drawn_from_the_seed_and_centre_on_the_whole() -> None:
    x, y = gaussian(0, 300, 8), gaussian(1, 250, 8, 0.3)
    first = kernel_distance(x, y, subsets=60, subset_size=80, seed=1)
    assert first == kernel_distance(x, y, subsets=60, subset_size=80, seed=1)
    assert first != kernel_distance(x, y, subsets=60, subset_size=80, seed=2)
    assert abs(first.mean - kernel_distance(x, y)) < 4 * first.std / np.sqrt(60)


def test_one_subset_of_everything_is_the_whole() -> None:
    x, y = gaussian(0, 30, 4), gaussian(1, 30, 4)
    result = kernel_distance(x, y, subsets=1, subset_size=30)
    assert result.mean == pytest.approx(kernel_distance(x, y), rel=1e-9)
    assert result.std == 0.0


def test_unbiased_estimates_centre_on_zero_for_one_distribution() -> None:
    pairs = [np.split(np.random.default_rng(seed).standard_normal((60, 4)), 2) for seed in range(200)]
    for values in (
        np.array([kernel_distance(*pair) for pair in pairs]),
        np.array([mmd_rbf(*pair, sigma=2.0, biased=False) for pair in pairs]),
    ):
        assert abs(values.mean()) < 3 * values.std() / np.sqrt(len(values))
        assert (values < 0).any()


def test_the_biased_estimate_falls_as_samples_grow() -> None:
    rng = np.random.default_rng(0)
    means = [
        np.mean(
            [mmd_rbf(rng.standard_normal((n, 4)), rng.standard_normal((n, 4)), sigma=2.0) for _ in range(20)]
        )
        for n in (20, 80, 320)
    ]
    assert means[0] > means[1] > means[2] > 0


def test_the_distance_of_an_embedding_to_itself_is_zero() -> None:
    x = unit(gaussian(0, 50, 16))
    assert mmd_rbf(x, x) == pytest.approx(0.0, abs=1e-9)


@few
@given(two_sets())
def test_both_are_symmetric_and_independent_of_order(sides: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = sides
    size = (np.square(np.concatenate([x, y]).astype(float)).sum(axis=1).max() / x.shape[1] + 1) ** 3
    assert kernel_distance(x, y) == pytest.approx(
        kernel_distance(y[::-1], x[::-1]), rel=1e-9, abs=1e-12 * size
    )
    assert mmd_rbf(x, y) == pytest.approx(mmd_rbf(y[::-1], x[::-1]), rel=1e-6, abs=1e-6)
    assert mmd_rbf(x, y) >= 0.0


@few
@given(two_sets(), st.integers(0, 1000))
def test_the_gaussian_kernel_is_invariant_to_shift_and_rotation(
    sides: tuple[np.ndarray, np.ndarray], seed: int
) -> None:
    x, y = (side.astype(np.float64) for side in sides)
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(rng.standard_normal((x.shape[1], x.shape[1])))[0]
    shift = rng.standard_normal(x.shape[1])
    assert mmd_rbf(x @ rotation + shift, y @ rotation + shift) == pytest.approx(
        mmd_rbf(x, y), rel=1e-6, abs=1e-6
    )


def test_the_tile_size_does_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = gaussian(0, 70, 5), gaussian(1, 55, 5, 0.2)
    whole = kernel_distance(x, y), mmd_rbf(x, y), mmd_rbf(x, y, biased=False)
    monkeypatch.setattr(mmd, "TILE", 16)
    tiled = kernel_distance(x, y), mmd_rbf(x, y), mmd_rbf(x, y, biased=False)
    assert tiled == pytest.approx(whole, rel=1e-10)


def test_only_the_biased_estimate_accepts_one_sample() -> None:
    x = np.array([[0.0, 3.0]])
    assert mmd_rbf(x, x + [[0.0, 1.0]], sigma=1.0, scale=1.0) == pytest.approx(2 - 2 * np.exp(-0.5))
    with pytest.raises(InputError, match="at least 2"):
        mmd_rbf(x, x, biased=False)
    with pytest.raises(InputError, match="at least 2"):
        kernel_distance(x, x)


def test_wrong_parameters_are_refused() -> None:
    x = gaussian(0, 10, 2)
    with pytest.raises(InputError, match="smaller subset_size"):
        kernel_distance(x, x, subsets=3)
    with pytest.raises(InputError, match="sigma"):
        mmd_rbf(x, x, sigma=0.0)
