from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from facebench.core.errors import InputError
from facebench.metrics import clipped_density_coverage
from facebench.metrics.clipped_density_coverage import expected_reach
from tests.helpers.metric_inputs import NewGolden, few, gaussian, two_sets

GOLDEN = NewGolden()
CASES = ["main", "n_below_d", "n_below_d_unequal", "lattice", "identical"]
UNCLAMPED_TIES = {"main": 0.004, "identical": 0.016, "lattice": 0.06}
"""The official code rounds distances, which flips ties of the unclamped density; elsewhere the tolerance is 1e-9."""


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("k", [3, 5])
def test_golden_official(case: str, k: int) -> None:
    expected = GOLDEN.case(case)
    result = clipped_density_coverage(*GOLDEN.sides(case), k=k)
    assert result.coverage == pytest.approx(expected[f"clipped_coverage_k{k}"], abs=1e-9)
    assert result.coverage == pytest.approx(expected[f"clipped_coverage_float32_input_k{k}"], abs=1e-9)
    tolerance = UNCLAMPED_TIES.get(case, 1e-9)
    assert result.unclamped_density == pytest.approx(
        expected[f"clipped_density_unclamped_k{k}"], abs=tolerance
    )
    assert result.density == pytest.approx(expected[f"clipped_density_k{k}"], abs=tolerance)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("k", [3, 5])
def test_golden_exact_distances(case: str, k: int) -> None:
    expected = GOLDEN.case(case)
    result = clipped_density_coverage(*GOLDEN.sides(case), k=k)
    assert result.unclamped_density == pytest.approx(
        expected[f"own_exact_distances_clipped_density_unclamped_k{k}"], abs=1e-9
    )
    assert result.coverage == pytest.approx(expected[f"own_exact_distances_clipped_coverage_k{k}"], abs=1e-9)


@pytest.mark.parametrize("case", ["main", "n_below_d", "n_below_d_unequal", "identical"])
@pytest.mark.parametrize("k", [3, 5])
def test_golden_swapped_roles(case: str, k: int) -> None:
    generated, reference = GOLDEN.sides(case)
    result = clipped_density_coverage(reference, generated, k=k)
    expected = GOLDEN.case(case)
    assert result.density == pytest.approx(expected[f"clipped_density_swapped_k{k}"], abs=1e-9)
    assert result.coverage == pytest.approx(expected[f"clipped_coverage_swapped_k{k}"], abs=1e-9)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("k", [3, 5])
def test_golden_expected_reach(case: str, k: int) -> None:
    generated, reference = GOLDEN.sides(case)
    m = len(generated)
    reach = expected_reach(m, len(reference), k)[[0, k, m // 2, m]]
    assert reach == pytest.approx(GOLDEN.case(case)[f"f_expected_coverage_k{k}_at_m_0_k_half_full"], abs=1e-9)


def split(share: int) -> tuple[np.ndarray, np.ndarray]:
    """Halves of one set, with a share of the generated rows moved far away."""
    rows = GOLDEN.arrays["main.real"]
    generated = rows[150:].astype(np.float64)
    generated[: 150 * share // 100] += 100.0
    return generated, rows[:150]


@pytest.mark.parametrize("share", [0, 20, 50, 80, 100])
def test_golden_bad_rows(share: int) -> None:
    expected = GOLDEN.case(f"derived.split_bad_{share}_percent")
    result = clipped_density_coverage(*split(share))
    assert result.unclamped_density == pytest.approx(expected["clipped_density_unclamped_k5"], abs=1e-9)
    assert result.coverage == pytest.approx(expected["clipped_coverage_k5"], abs=1e-9)


def test_golden_collapsed() -> None:
    rows = GOLDEN.arrays["main.real"]
    result = clipped_density_coverage(np.repeat(rows[150:160], 15, axis=0), rows[:150])
    expected = GOLDEN.case("derived.collapsed")
    assert result.unclamped_density == pytest.approx(expected["clipped_density_unclamped_k5"], abs=1e-9)
    assert result.coverage == pytest.approx(expected["clipped_coverage_k5"], abs=1e-9)


@pytest.mark.parametrize(("m", "n", "k"), [(1, 7, 5), (40, 12, 3), (300, 90, 5)])
def test_the_expected_reach_is_that_of_a_beta_binomial_count(m: int, n: int, k: int) -> None:
    counts = np.arange(m + 1)
    expected = np.minimum(counts, k) @ scipy.stats.betabinom.pmf(counts, m, k, n - k) / k
    assert expected_reach(m, n, k)[m] == pytest.approx(expected if m >= k else 0.0, abs=1e-12)


def by_definition(generated: np.ndarray, reference: np.ndarray, k: int) -> tuple[float, float]:
    """Unclamped density and uncalibrated coverage from whole matrices of float64 squared distances."""
    x, y = generated.astype(np.float64), reference.astype(np.float64)
    between, own = (np.einsum("ijk,ijk->ij", gap, gap) for gap in (x[:, None] - y, y[:, None] - y))
    np.fill_diagonal(own, np.inf)
    order = np.argsort(own, axis=1, kind="stable")[:, :k]
    radius = np.sort(own, axis=1)[:, k - 1]
    clipped = np.minimum(radius, np.median(np.sqrt(radius)) ** 2 * (1 + 1e-14))
    counts = np.zeros(len(y))
    for row, neighbours in enumerate(order):
        counts[neighbours] += own[row, neighbours] <= clipped[row]
    density = np.minimum((between <= clipped).sum(axis=1), k).mean() / np.minimum(counts, k).mean()
    return density, np.minimum((between < radius).sum(axis=0), k).mean() / k


@few
@given(two_sets(smallest=6, largest=30), st.integers(1, 4))
def test_tiles_give_the_definition(sides: tuple[np.ndarray, np.ndarray], k: int) -> None:
    generated, reference = sides
    if not np.ptp(reference, axis=0).any():
        return
    copies = np.unique(reference, axis=0, return_counts=True)[1].max()
    if copies > k:  # of more copies than k, any may be the neighbours
        return
    result = clipped_density_coverage(generated, reference, k)
    density, reached = by_definition(generated, reference, k)
    assert result.unclamped_density == pytest.approx(density, rel=1e-12)
    assert result.density == min(1.0, result.unclamped_density)
    reach = expected_reach(len(generated), len(reference), k)
    place = round(result.coverage * (len(generated) + 1))
    assert place == len(reach) or reached <= reach[place] + 1e-12
    assert place == 0 or reach[place - 1] < reached + 1e-12


@few
@given(two_sets(smallest=7), st.integers(0, 1000))
def test_order_of_rows_does_not_matter(sides: tuple[np.ndarray, np.ndarray], seed: int) -> None:
    rng = np.random.default_rng(seed)
    generated, reference = sides
    if np.ptp(reference, axis=0).any():
        result = clipped_density_coverage(generated, reference)
        assert clipped_density_coverage(rng.permutation(generated), reference) == result
        shuffled = clipped_density_coverage(generated, rng.permutation(reference))
        assert shuffled.coverage == result.coverage


def test_bad_rows_lower_both_scores_in_proportion() -> None:
    rows = np.random.default_rng(3).standard_normal((4000, 8))
    generated, reference = rows[:2000].copy(), rows[2000:]
    generated[:1000] += 50.0
    result = clipped_density_coverage(generated, reference)
    assert result.density == pytest.approx(0.5, abs=0.03)
    assert result.coverage == pytest.approx(0.5, abs=0.03)


def test_one_far_reference_row_cannot_inflate_the_density() -> None:
    reference = gaussian(0, 200, 4)
    reference[0] = 1000.0
    far = np.full((100, 4), 500.0)
    assert clipped_density_coverage(far, reference).density == 0.0


def test_too_few_rows_and_equal_rows_are_refused() -> None:
    x = gaussian(0, 20, 3)
    with pytest.raises(InputError, match="generated: 4 rows, but k = 5 needs at least 5"):
        clipped_density_coverage(x[:4], x)
    with pytest.raises(InputError, match="reference: 6 rows, but k = 5 needs at least 7"):
        clipped_density_coverage(x, x[:6])
    with pytest.raises(InputError, match="k must be"):
        clipped_density_coverage(x, x, k=0)
    with pytest.raises(InputError, match="all rows are equal"):
        clipped_density_coverage(x, np.ones((20, 3)))
    with pytest.raises(InputError, match="NaN"):
        clipped_density_coverage(np.full((9, 3), np.nan), x)
