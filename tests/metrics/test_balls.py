from __future__ import annotations

import numpy as np
import pytest
import scipy.spatial.distance
from hypothesis import given
from hypothesis import strategies as st

from facebench.core.errors import InputError
from facebench.metrics import (
    PrecisionRecall,
    authenticity,
    density_coverage,
    distances,
    knn,
    precision_recall,
)
from facebench.metrics.balls import Sets
from facebench.metrics.knn import nearest_neighbours
from tests.helpers.metric_inputs import Golden, few, gaussian, two_sets

GOLDEN = Golden("distribution_metrics")
CASES = ["main", "n_below_d", "n_below_d_unequal", "lattice", "identical"]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("k", [3, 5, 10])
def test_golden_prdc(case: str, k: int) -> None:
    sides = GOLDEN.sides(case)
    strict, density = precision_recall(*sides, k=k, strict=True), density_coverage(*sides, k=k)
    for name, value in (
        ("precision", strict.precision),
        ("recall", strict.recall),
        ("density", density.density),
        ("coverage", density.coverage),
    ):
        assert value == pytest.approx(GOLDEN.value(case, f"prdc.dgm_eval_k{k}.{name}"), rel=1e-9), name


@pytest.mark.parametrize("case", CASES)
def test_golden_improved_precision_and_recall(case: str) -> None:
    result = precision_recall(*GOLDEN.sides(case))
    assert result.precision == pytest.approx(GOLDEN.value(case, "prc.kynkaanniemi_k3.precision"), rel=1e-9)
    assert result.recall == pytest.approx(GOLDEN.value(case, "prc.kynkaanniemi_k3.recall"), rel=1e-9)


@pytest.mark.parametrize("case", ["main", "n_below_d", "n_below_d_unequal", "identical"])
def test_golden_authenticity(case: str) -> None:
    # The golden counts exactly but stores its share in float32.
    n = len(GOLDEN.sides(case)[0])
    expected = round(GOLDEN.value(case, "authpct.dgm_eval") * n / 100)
    assert authenticity(*GOLDEN.sides(case)) == pytest.approx(100 * expected / n, rel=1e-9)


def by_definition(
    generated: np.ndarray, reference: np.ndarray, k: int, strict: bool
) -> tuple[float, float, float, float]:
    """Precision, recall, density and coverage from whole matrices of float64 distances."""
    x, y = generated.astype(np.float64), reference.astype(np.float64)

    def squared(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        gap = a[:, None] - b
        return np.einsum("ijk,ijk->ij", gap, gap)

    def radius(rows: np.ndarray) -> np.ndarray:
        own = squared(rows, rows)
        np.fill_diagonal(own, np.inf)
        return np.sort(own, axis=1)[:, k - 1]

    between = squared(x, y)
    inside = np.less if strict else np.less_equal
    in_reference, in_generated = inside(between, radius(y)), inside(between, radius(x)[:, None])
    below = between < radius(y)
    return (
        in_reference.any(axis=1).mean(),
        in_generated.any(axis=0).mean(),
        below.sum(axis=1).mean() / k,
        below.any(axis=0).mean(),
    )


@few
@given(two_sets(smallest=5, largest=40, width=8), st.integers(1, 4), st.booleans())
def test_float32_tiles_give_the_float64_definition_exactly(
    sides: tuple[np.ndarray, np.ndarray], k: int, strict: bool
) -> None:
    precision, recall, density, coverage = by_definition(*sides, k, strict)
    result = precision_recall(*sides, k=k, strict=strict)
    assert (result.precision, result.recall) == (precision, recall)
    other = density_coverage(*sides, k=k)
    assert (other.density, other.coverage) == pytest.approx((density, coverage), rel=1e-12)


@pytest.mark.parametrize("offset", [0.0, 1e4, 1e-20, 1e20])
def test_near_ties_below_float32_precision_are_resolved(offset: float) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 16)) + offset
    y = x + rng.standard_normal((200, 16)) * 1e-9
    for strict in (False, True):
        expected = by_definition(x, y, 3, strict)
        result = precision_recall(x, y, strict=strict)
        assert (result.precision, result.recall) == expected[:2]


def test_one_far_outlier_does_not_reduce_the_numerical_accuracy() -> None:
    x, y = gaussian(0, 300, 8), gaussian(1, 300, 8)
    x[0], y[0] = 1e6, -1e6
    result = precision_recall(x, y)
    assert (result.precision, result.recall) == by_definition(x, y, 3, False)[:2]


@few
@given(two_sets(smallest=6, largest=40), st.integers(1, 5))
def test_nearest_gives_the_lowest_indices_on_ties(sides: tuple[np.ndarray, np.ndarray], k: int) -> None:
    x, y = (side.astype(np.float64) for side in sides)
    gap = x[:, None] - y
    full = np.einsum("ijk,ijk->ij", gap, gap)
    order = np.argsort(full, axis=1, kind="stable")[:, :k]
    sets = Sets.of(x, y)
    squares, index = nearest_neighbours(sets.generated, sets.reference, k)
    assert np.array_equal(index, order)
    assert np.array_equal(squares, np.take_along_axis(full, order, axis=1))


def test_many_tiles_give_the_result_of_one_tile(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = gaussian(0, 500, 6).round(1), gaussian(1, 430, 6).round(1)
    whole = precision_recall(x, y), density_coverage(x, y), authenticity(x, y)
    for module in (distances, knn):
        monkeypatch.setattr(module, "TILE", 64)
    monkeypatch.setattr(distances, "_KEEP", 0)
    assert (precision_recall(x, y), density_coverage(x, y), authenticity(x, y)) == whole


@few
@given(two_sets(smallest=6), st.integers(0, 1000))
def test_order_of_rows_and_shift_by_whole_numbers_do_not_matter(
    sides: tuple[np.ndarray, np.ndarray], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    x, y = (np.round(side.astype(np.float64) * 64) / 64 for side in sides)
    shift = rng.integers(-8, 9, x.shape[1])
    moved = rng.permutation(x) + shift, rng.permutation(y) + shift
    assert precision_recall(*moved) == precision_recall(x, y)
    assert density_coverage(*moved) == density_coverage(x, y)


@few
@given(two_sets(smallest=6))
def test_swapping_the_sides_swaps_precision_and_recall(sides: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = sides
    forth, back = precision_recall(x, y), precision_recall(y, x)
    assert (forth.precision, forth.recall) == (back.recall, back.precision)


def test_a_set_covers_itself_and_a_copy_is_not_authentic() -> None:
    x = gaussian(0, 50, 4)
    assert precision_recall(x, x) == PrecisionRecall(1.0, 1.0)
    assert density_coverage(x, x).coverage == 1.0
    assert authenticity(x, x) == 0.0
    assert authenticity(x + 1000.0, x) == 100.0


def test_a_collapsed_generator_is_precise_and_covers_nothing() -> None:
    reference = gaussian(0, 200, 8)
    collapsed = np.repeat(reference[:1], 200, axis=0)
    result = precision_recall(collapsed, reference)
    assert result.precision == 1.0
    assert result.recall == 1 / 200
    assert density_coverage(collapsed, reference).coverage < 0.2


@pytest.mark.parametrize("noise", [0.0, 1e-9])
def test_sets_with_many_copies_are_measured_exactly(noise: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(knn, "_WAITING", 500)
    monkeypatch.setattr(distances, "TILE", 64)
    monkeypatch.setattr(knn, "TILE", 64)
    rng = np.random.default_rng(0)
    reference = gaussian(0, 150, 8)
    collapsed = reference[rng.integers(0, 2, 300)] + noise * rng.standard_normal((300, 8))
    for strict in (False, True):
        result = precision_recall(collapsed, reference, strict=strict)
        assert (result.precision, result.recall) == by_definition(collapsed, reference, 3, strict)[:2]


def test_surfaces_count_only_when_not_strict() -> None:
    reference, generated = np.array([[0.0], [1.0], [2.0]]), np.array([[-1.0], [-3.0]])
    assert precision_recall(generated, reference, k=1).precision == 0.5
    assert precision_recall(generated, reference, k=1, strict=True).precision == 0.0


def test_distances_agree_with_scipy() -> None:
    x, y = gaussian(0, 60, 7), gaussian(1, 50, 7)
    sets = Sets.of(x, y)
    squares, _ = nearest_neighbours(sets.generated, sets.reference, 3)
    full = np.sort(scipy.spatial.distance.cdist(x, y, "sqeuclidean"), axis=1)[:, :3]
    assert np.allclose(squares, full, rtol=1e-12)


def test_too_few_rows_for_k_are_refused() -> None:
    with pytest.raises(InputError, match="k = 3 needs at least 4"):
        precision_recall(np.zeros((3, 2)), np.zeros((9, 2)))
    with pytest.raises(InputError, match="reference: 5 rows"):
        density_coverage(np.zeros((1, 2)), np.zeros((5, 2)))
    with pytest.raises(InputError, match="k must be"):
        precision_recall(np.zeros((3, 2)), np.zeros((9, 2)), k=0)
    with pytest.raises(InputError, match="0 rows"):
        authenticity(np.zeros((0, 2)), np.zeros((5, 2)))


def test_one_generated_sample_has_a_density() -> None:
    assert density_coverage(np.zeros((1, 1)), np.arange(8.0)[:, None], k=2).density == 0.5
