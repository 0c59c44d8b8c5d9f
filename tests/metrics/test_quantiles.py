from __future__ import annotations

import pytest
import scipy.stats

from facebench.metrics.quantiles import beta_quantile, normal_quantile, normal_tail, t_quantile, t_tail


@pytest.mark.parametrize("p", [0.0005, 0.025, 0.5, 0.975, 0.9995])
def test_quantiles_equal_those_of_scipy_stats(p: float) -> None:
    assert normal_quantile(p) == pytest.approx(scipy.stats.norm.ppf(p), rel=1e-12, abs=1e-12)
    for freedom in (1, 4, 49, 5000):
        assert t_quantile(p, freedom) == pytest.approx(scipy.stats.t.ppf(p, freedom), rel=1e-10, abs=1e-12)
    for a, b in ((0.5, 20.0), (3.0, 97.0), (1e-3, 5.0)):
        assert beta_quantile(p, a, b) == pytest.approx(scipy.stats.beta.ppf(p, a, b), rel=1e-9)


@pytest.mark.parametrize("x", [-3.0, 0.0, 1.5, 8.0])
def test_tails_equal_those_of_scipy_stats(x: float) -> None:
    assert normal_tail(x) == pytest.approx(scipy.stats.norm.sf(x), rel=1e-12)
    for freedom in (1, 4, 49):
        assert t_tail(x, freedom) == pytest.approx(scipy.stats.t.sf(x, freedom), rel=1e-10)
