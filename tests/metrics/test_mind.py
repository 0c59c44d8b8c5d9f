from __future__ import annotations

import sys

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st

from facebench.core.errors import InputError
from facebench.metrics import mind, sliced_wasserstein
from facebench.metrics.mind import sliced_leave_out, squared_sliced_wasserstein
from tests.helpers.metric_inputs import GOLDENS, NewGolden, few, gaussian, two_sets

GOLDEN = NewGolden()
with np.load(GOLDENS / "mind_directions.npz") as _stored:
    STORED = {key: _stored[key] for key in _stored.files}


def of_torch_fidelity(case: str, count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Both sets and the directions, in the sampling order of torch-fidelity."""
    generated, reference = GOLDEN.sides(case)
    generator = torch.Generator().manual_seed(seed)
    if len(reference) > len(generated):
        reference = reference[torch.randperm(len(reference), generator=generator)[: len(generated)].numpy()]
    directions = torch.randn(count, generated.shape[1], generator=generator)
    directions /= directions.norm(dim=1, keepdim=True)
    return generated, reference, directions.numpy()


@pytest.mark.parametrize("case", ["main", "n_below_d_unequal", "lattice"])
def test_golden_with_stored_directions(case: str) -> None:
    generated, reference = GOLDEN.sides(case)
    reference, directions = reference[STORED[f"{case}.real_rows"]], STORED[f"{case}.directions"]
    expected = GOLDEN.case(case)
    value = mind(generated, reference, directions=directions)
    assert value == pytest.approx(expected["mind_m1000_seed2020"], rel=1e-5)
    assert value == pytest.approx(expected["mind_m1000_seed2020_float64_check"], rel=1e-5)
    distance = sliced_wasserstein(generated, reference, directions=directions)
    assert distance == pytest.approx(expected["sliced_w2_m1000_seed2020_float64"], rel=1e-5)
    swapped = mind(reference, generated, directions=directions)
    assert swapped == pytest.approx(expected["mind_m1000_seed2020_swapped"], rel=1e-5)


@pytest.mark.parametrize("case", ["main", "n_below_d", "n_below_d_unequal", "lattice", "identical"])
@pytest.mark.parametrize(("count", "seed"), [(1000, 2020), (100, 2020), (1000, 0)])
def test_golden_with_the_directions_of_torch(case: str, count: int, seed: int) -> None:
    generated, reference, directions = of_torch_fidelity(case, count, seed)
    expected = GOLDEN.case(case)[f"mind_m{count}_seed{seed}"]
    assert mind(generated, reference, directions=directions) == pytest.approx(expected, rel=1e-5, abs=1e-9)


def test_own_directions_agree_within_the_spread_over_seeds() -> None:
    mean, deviation = GOLDEN.case("main")["mind_m1000_over_16_seeds_mean_sd"]
    values = [mind(*GOLDEN.sides("main"), seed=seed) for seed in range(16)]
    assert abs(np.mean(values) - mean) < 3 * deviation / np.sqrt(8)


def test_one_direction_gives_the_distance_of_its_projections() -> None:
    x, y = gaussian(0, 60, 3), gaussian(1, 60, 3)
    direction = np.array([[0.0, 1.0, 0.0]])
    expected = np.mean((np.sort(x[:, 1]) - np.sort(y[:, 1])) ** 2)
    assert sliced_wasserstein(x, y, directions=direction) == pytest.approx(np.sqrt(expected), rel=1e-12)
    assert mind(x, y, directions=direction) == pytest.approx(9 * expected, rel=1e-12)


def test_in_one_dimension_a_shift_is_the_distance() -> None:
    x = gaussian(0, 50, 1)
    shifted = x + 2.0
    expected = scipy.stats.wasserstein_distance(x[:, 0], shifted[:, 0])
    assert sliced_wasserstein(x, shifted) == pytest.approx(expected, rel=1e-9)


@few
@given(two_sets(smallest=2), st.integers(0, 100))
def test_order_of_rows_and_of_sides_does_not_matter(sides: tuple[np.ndarray, np.ndarray], seed: int) -> None:
    n = min(map(len, sides))
    x, y = (side[:n].astype(np.float64) for side in sides)
    rng = np.random.default_rng(seed)
    value = mind(x, y, count=20)
    assert value >= 0.0
    assert mind(y, x, count=20) == pytest.approx(value, rel=1e-9, abs=1e-12)
    assert mind(rng.permutation(x), rng.permutation(y), count=20) == pytest.approx(value, rel=1e-9, abs=1e-12)
    assert mind(3 * x, 3 * y, count=20) == pytest.approx(9 * value, rel=1e-9, abs=1e-12)
    assert mind(x, x, count=20) == 0.0


def test_many_blocks_give_what_one_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = gaussian(0, 90, 5), gaussian(1, 70, 5)
    whole = mind(x, y, count=33)
    monkeypatch.setattr(sys.modules["facebench.metrics.mind"], "BLOCK_ELEMENTS", 300)
    assert mind(x, y, count=33) == pytest.approx(whole, rel=1e-12)


def test_a_seed_fixes_the_value() -> None:
    x, y = gaussian(0, 90, 5), gaussian(1, 70, 5)
    assert mind(x, y, seed=1) == mind(x, y, seed=1) != mind(x, y, seed=2)


def test_leaving_groups_out_of_sorted_lists_equals_computing_again() -> None:
    x, y, labels = gaussian(1, 60, 5), gaussian(2, 60, 5) + 0.3, np.arange(60) % 6
    again = [
        squared_sliced_wasserstein(x[labels != g], y[labels[::-1] != g], None, count=40, seed=3)
        for g in range(6)
    ]
    fast = sliced_leave_out([x, y], (labels, labels[::-1]), 6, count=40, seed=3)
    np.testing.assert_allclose(fast, again, rtol=1e-12)


@pytest.mark.parametrize("larger", [0, 1])
def test_of_the_larger_set_the_same_rows_stay_drawn_without_each_group(larger: int) -> None:
    sides = [gaussian(1, 40, 5), gaussian(2, 40, 5) + 0.3]
    sides[larger] = np.concatenate([sides[larger], gaussian(3, 27, 5)])
    labels = [np.arange(len(side)) % 5 for side in sides]
    order = np.random.default_rng(3).permutation(67)
    fast = sliced_leave_out(sides, (labels[0], labels[1]), 5, directions=np.eye(5), seed=3)
    for group, value in enumerate(fast):
        left = [side[label != group] for side, label in zip(sides, labels, strict=True)]
        left[larger] = sides[larger][order[labels[larger][order] != group][: len(left[1 - larger])]]
        expected = squared_sliced_wasserstein(left[0], left[1], np.eye(5), count=1, seed=0)
        assert value == pytest.approx(expected, rel=1e-12)


def test_bad_input_is_refused() -> None:
    x = gaussian(0, 20, 3)
    with pytest.raises(InputError, match="at least 2"):
        mind(x[:1], x)
    with pytest.raises(InputError, match="count must be"):
        mind(x, x, count=0)
    with pytest.raises(InputError, match="directions have 2 columns, the features 3"):
        mind(x, x, directions=np.ones((4, 2)))
    with pytest.raises(InputError, match="Both sides"):
        sliced_wasserstein(x, gaussian(1, 20, 4))
    with pytest.raises(InputError, match="NaN"):
        mind(x, np.full((20, 3), np.nan))
