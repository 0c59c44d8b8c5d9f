from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facebench.core.errors import InputError
from facebench.metrics import clipped_density_coverage
from facebench.metrics.intervals.clipped import clipped_leave_out
from tests.helpers.metric_inputs import few, gaussian


@few
@given(st.integers(20, 60), st.integers(20, 60), st.integers(1, 5), st.integers(0, 1000))
def test_each_group_left_out_gives_what_the_metric_gives_without_it(
    n: int, m: int, k: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    generated, reference = rng.standard_normal((n, 3)), rng.standard_normal((m, 3)) + 0.3
    labels = rng.permutation(n) % 4, rng.permutation(m) % 4
    found = clipped_leave_out(generated, reference, labels, 4, k)
    expected = [
        clipped_density_coverage(generated[labels[0] != g], reference[labels[1] != g], k) for g in range(4)
    ]
    for one, other in zip(found, expected, strict=True):
        assert one.unclamped_density == pytest.approx(other.unclamped_density, rel=1e-12)
        assert one.density == pytest.approx(other.density, rel=1e-12)
        assert one.coverage == other.coverage


def test_tight_clusters_in_one_group_need_deeper_neighbours() -> None:
    reference = np.concatenate([gaussian(0, 40, 2) * 1e-3, gaussian(1, 40, 2)])
    labels = (np.arange(80) % 2, np.repeat([0, 1], 40))
    found = clipped_leave_out(reference, reference, labels, 2, 5)
    expected = [
        clipped_density_coverage(reference[labels[0] != g], reference[labels[1] != g]) for g in range(2)
    ]
    assert [one.coverage for one in found] == [one.coverage for one in expected]


def test_too_few_rows_are_refused() -> None:
    rows = gaussian(0, 8, 2)
    with pytest.raises(InputError, match="too few for a jackknife"):
        clipped_leave_out(rows, rows, (np.arange(8) % 2, np.arange(8) % 2), 2, 5)
