from __future__ import annotations

import numpy as np
import pytest

from facebench.core.errors import InputError
from facebench.metrics import mean_std, paired_delta, spread


def test_means_deltas_and_spreads() -> None:
    assert mean_std([2.0]) == mean_std(np.float32([2.0]))
    assert mean_std([1.0, 2.0, 3.0]).std == pytest.approx(np.sqrt(2 / 3))
    assert paired_delta([0.5, 0.5], [0.0, 1.0]).mean == 0.0
    assert spread([1.0, 3.0]) == 1.0
    poses = np.random.default_rng(0).normal(0, [10, 5, 2], (5000, 3))
    assert spread(poses) == pytest.approx(np.sqrt(129), rel=0.05)
    for refused in (
        lambda: mean_std([]),
        lambda: spread(np.empty((0, 3))),
        lambda: paired_delta([1.0], [1.0, 2.0]),
    ):
        with pytest.raises(InputError):
            refused()
