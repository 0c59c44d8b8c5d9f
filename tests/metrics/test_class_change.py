from __future__ import annotations

import numpy as np
import pytest

from facebench.core.errors import InputError
from facebench.metrics import class_change

LOGITS = np.random.default_rng(0).normal(size=(20, 7))


def test_equal_logits_change_nothing_and_a_constant_does_not_count() -> None:
    assert class_change(LOGITS, LOGITS).mean == 0
    assert class_change(LOGITS, LOGITS + 3.0).mean == pytest.approx(0, abs=1e-12)


def test_a_certain_class_that_becomes_another_certain_class_changes_by_one() -> None:
    before, after = np.array([[50.0, 0.0, 0.0]]), np.array([[0.0, 0.0, 50.0]])
    assert class_change(after, before).mean == pytest.approx(1)


def test_the_change_is_the_total_variation_distance() -> None:
    probabilities = np.array([[0.5, 0.3, 0.2]]), np.array([[0.1, 0.3, 0.6]])
    assert class_change(*map(np.log, probabilities)).mean == pytest.approx(0.4)


def test_shapes_must_match() -> None:
    with pytest.raises(InputError, match="equal shapes"):
        class_change(LOGITS, LOGITS[:, :5])
