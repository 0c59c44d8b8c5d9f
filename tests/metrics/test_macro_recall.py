"""Macro recall: the mean of the recalls of the classes."""

from __future__ import annotations

import numpy as np
import pytest

from facebench.core.errors import InputError
from facebench.metrics.macro_recall import macro_recall


def test_every_class_counts_the_same() -> None:
    wanted = np.array([0] * 90 + [1] * 10)
    always_first = np.tile([1.0, 0.0, 0.0], (100, 1))
    assert macro_recall(always_first, wanted) == 0.5
    assert macro_recall(np.eye(3)[wanted], wanted) == 1.0


def test_it_equals_the_balanced_accuracy_of_scikit_learn() -> None:
    from sklearn.metrics import balanced_accuracy_score

    rng = np.random.default_rng(0)
    logits, wanted = rng.normal(size=(200, 5)), rng.integers(0, 5, 200)
    assert macro_recall(logits, wanted) == pytest.approx(balanced_accuracy_score(wanted, logits.argmax(1)))


def test_an_index_that_is_no_class_is_an_error() -> None:
    with pytest.raises(InputError, match="class indices"):
        macro_recall(np.zeros((2, 3)), np.array([0, 3]))
