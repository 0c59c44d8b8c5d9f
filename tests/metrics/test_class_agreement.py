from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facebench.core.errors import InputError
from facebench.metrics import class_agreement
from tests.helpers.metric_inputs import few


@few
@given(st.integers(0, 1000), st.integers(1, 20))
def test_class_agreement_counts_equal_classes_independent_of_their_margin(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    wanted, shown = rng.standard_normal((2, n, 4))
    found = class_agreement(wanted, shown)
    assert found.mean == np.mean(wanted.argmax(axis=1) == shown.argmax(axis=1))
    assert class_agreement(wanted, wanted) == class_agreement(wanted, 3 * wanted + 1)
    assert class_agreement(wanted, wanted).mean == 1.0
    assert class_agreement(shown, wanted) == found
    order = rng.permutation(4)
    assert class_agreement(wanted[:, order], shown[:, order]) == found


def test_class_agreement_needs_the_same_classes() -> None:
    with pytest.raises(InputError, match="must be equal"):
        class_agreement(np.eye(3), np.eye(3)[:, :2])
    with pytest.raises(InputError):
        class_agreement([[0.1, np.nan]], [[0.1, 0.2]])
