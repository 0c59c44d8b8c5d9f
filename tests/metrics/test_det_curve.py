from __future__ import annotations

import numpy as np
import pytest

from facebench.metrics import det_curve
from tests.helpers.metric_inputs import Golden

GOLDEN = Golden("verification")


@pytest.mark.parametrize("case", ["ties", "tiny", "few_impostors"])
def test_golden_curves(case: str) -> None:
    curve = det_curve(GOLDEN.arrays[f"{case}.genuine"], GOLDEN.arrays[f"{case}.impostor"])
    assert np.array_equal(curve.thresholds, GOLDEN.arrays[f"{case}.thresholds"])
    assert np.allclose(curve.fmr, GOLDEN.arrays[f"{case}.fmr"], rtol=1e-12, atol=0)
    assert np.allclose(curve.fnmr, GOLDEN.arrays[f"{case}.fnmr"], rtol=1e-12, atol=0)


def test_a_thinned_curve_keeps_its_ends_and_its_points() -> None:
    rng = np.random.default_rng(0)
    genuine, impostor = rng.normal(1, 0.5, 5000), rng.normal(0, 0.5, 20000)
    whole, thin = det_curve(genuine, impostor), det_curve(genuine, impostor, points=200)
    assert 50 < len(thin.fmr) <= 202
    assert set(zip(thin.fmr, thin.fnmr, strict=True)) <= set(zip(whole.fmr, whole.fnmr, strict=True))
    assert (thin.fmr[0], thin.thresholds[-1]) == (1.0, whole.thresholds[-1])
    assert (np.diff(thin.fmr) <= 0).all()
