from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facebench.core.errors import InputError
from facebench.metrics import expression_confusion
from tests.helpers.metric_inputs import few


def test_the_matrix_and_the_rates_of_a_pair_by_hand() -> None:
    wanted = ["fear"] * 4 + ["surprise"] * 2
    predicted = ["fear", "surprise", "surprise", "happy", "fear", "surprise"]
    result = expression_confusion(predicted, wanted)
    assert result.wanted == ("fear", "surprise")
    assert result.classes == ("fear", "surprise", "happy")
    assert result.matrix.tolist() == [[0.25, 0.5, 0.25], [0.5, 0.5, 0.0]]
    assert result.pairs == {("fear", "surprise"): 0.5}
    assert result.mscr == 0.5
    assert result.accuracy == 2 / 6


def test_named_pairs_are_used_where_both_are_wanted() -> None:
    wanted = ["afraid", "surprised", "happy", "sad"]
    result = expression_confusion(["surprised", "surprised", "sad", "happy"], wanted)
    assert list(result.pairs) == [("afraid", "surprised")]
    assert result.mscr == 0.5
    every = expression_confusion(["sad", "happy"], ["happy", "sad"])
    assert every.mscr == 1.0
    chosen = expression_confusion(wanted, wanted, pairs=[("happy", "sad"), ("happy", "calm")])
    assert chosen.pairs == {("happy", "sad"): 0.0}


def test_two_expressions_that_collapsed_into_one_have_a_rate_of_half() -> None:
    assert expression_confusion(["angry"] * 10, ["angry", "disgust"] * 5).mscr == 0.5


def test_one_wanted_expression_has_no_rate() -> None:
    result = expression_confusion(["happy", "sad"], ["happy", "happy"])
    assert result.mscr is None
    assert result.accuracy == 0.5


def test_logits_count_by_their_largest_entry() -> None:
    logits = np.array([[3.0, 1.0, 0.0], [0.0, 1.0, 2.0], [0.0, 5.0, 1.0]])
    result = expression_confusion(logits, [0, 1, 1])
    assert result.classes == (0, 1, 2)
    assert result.matrix.tolist() == [[1.0, 0.0, 0.0], [0.0, 0.5, 0.5]]
    assert result.accuracy == 2 / 3
    assert expression_confusion(logits, np.array([0.0, 1.0, 1.0])).pairs == {(0, 1): 0.0}


@few
@given(st.integers(1, 60), st.integers(2, 6), st.integers(0, 1000))
def test_shares_and_accuracy(n: int, classes: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    wanted, predicted = rng.integers(classes, size=(2, n))
    result = expression_confusion(predicted, wanted)
    expected = [[(predicted[wanted == i] == j).mean() for j in result.classes] for i in result.wanted]
    assert result.matrix == pytest.approx(np.array(expected))
    assert result.matrix.sum(axis=1) == pytest.approx(1.0)
    assert result.accuracy == (wanted == predicted).mean()
    order = rng.permutation(n)
    assert expression_confusion(predicted[order], wanted[order]).mscr == result.mscr
    assert expression_confusion(wanted, wanted).mscr in (None, 0.0)


def test_bad_input_is_refused() -> None:
    with pytest.raises(InputError, match="do not match"):
        expression_confusion(["happy"], ["happy", "sad"])
    with pytest.raises(InputError, match="at least one"):
        expression_confusion([], [])
    with pytest.raises(InputError, match="both be names"):
        expression_confusion([0, 1], ["happy", "sad"])
    with pytest.raises(InputError, match="whole numbers"):
        expression_confusion([0.5, 1.0], [0, 1])
    with pytest.raises(InputError, match="whole numbers"):
        expression_confusion([np.nan, 1.0], [0, 1])
    with pytest.raises(InputError, match="NaN"):
        expression_confusion([[np.nan, 1.0]], [0])
