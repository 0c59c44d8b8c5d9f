from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facebench.core.errors import InputError
from facebench.metrics import pair_scores
from tests.helpers.metric_inputs import few


@few
@given(st.integers(0, 1000), st.integers(2, 30), st.integers(1, 5), st.booleans())
def test_every_pair_counts_once(seed: int, n: int, people: int, against: bool) -> None:
    rng = np.random.default_rng(seed)
    x, names = rng.standard_normal((n, 4)), rng.integers(0, people, n)
    y, others = (rng.standard_normal((7, 4)), rng.integers(0, people, 7)) if against else (x, names)
    scores = pair_scores(x, names, y, others) if against else pair_scores(x, names)
    cosines = (x @ y.T) / np.linalg.norm(x, axis=1)[:, None] / np.linalg.norm(y, axis=1)
    chosen = np.ones((n, len(y)), dtype=bool) if against else np.triu(np.ones((n, n), dtype=bool), 1)
    same = names[:, None] == others
    for found, mask in ((scores.genuine, same & chosen), (scores.impostor, ~same & chosen)):
        assert np.allclose(np.sort(found), np.sort(cosines[mask]), rtol=0, atol=1e-12)


def test_pair_scores_contain_their_identities() -> None:
    rng = np.random.default_rng(0)
    x, names = rng.standard_normal((20, 3)), np.arange(20) % 4
    scores = pair_scores(x, names)
    assert np.bincount(scores.genuine_identity).tolist() == [10, 10, 10, 10]
    assert (scores.impostor_identities[:, 0] != scores.impostor_identities[:, 1]).all()


def test_identities_are_compared_as_strings() -> None:
    scores = pair_scores(np.eye(2), [1, 2], np.eye(2), ["1", "2"])
    assert scores.genuine.tolist() == [1.0, 1.0]


def test_unusable_input_is_refused() -> None:
    with pytest.raises(InputError, match="1 identities for 2 rows"):
        pair_scores(np.eye(2), ["a"])
    with pytest.raises(InputError, match="together"):
        pair_scores(np.eye(2), ["a", "b"], np.eye(2))
    with pytest.raises(InputError, match="all zeros"):
        pair_scores(np.zeros((2, 2)), ["a", "b"])
    with pytest.raises(InputError, match="features"):
        pair_scores(np.eye(2), ["a", "b"], np.eye(3), ["a", "b", "c"])
