from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facebench.core.errors import InputError
from facebench.metrics import id_booth_pairs, pair_scores
from tests.helpers.metric_inputs import Golden, few

GOLDEN = Golden("verification")


def identities(sizes: np.ndarray) -> np.ndarray:
    return np.repeat([f"id{number:03d}" for number in range(len(sizes))], sizes)


def row_pairs(indices: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Golden (identity, image, identity, image) as rows of the stacked sets."""
    starts = np.cumsum(left) - left, np.cumsum(right) - right
    return np.stack(
        [starts[0][indices[:, 0]] + indices[:, 1], starts[1][indices[:, 2]] + indices[:, 3]], axis=1
    )


@pytest.mark.parametrize("case", ["among", "vs_real"])
def test_golden_pair_lists_and_scores(case: str) -> None:
    arrays = GOLDEN.arrays
    own = arrays["pairs.n_synthetic"]
    other = own if case == "among" else arrays["pairs.n_real"]
    chosen = id_booth_pairs(identities(own), None if case == "among" else identities(other))
    found = chosen.scores(
        arrays["pairs.embeddings.synthetic"], None if case == "among" else arrays["pairs.embeddings.real"]
    )
    for kind, pairs, scores in zip(
        ("genuine", "impostor"), (chosen.genuine, chosen.impostor), found, strict=True
    ):
        assert np.array_equal(pairs, row_pairs(arrays[f"pairs.{case}.{kind}"], own, other))
        assert np.allclose(scores, arrays[f"pairs.{case}.{kind}_scores"], rtol=0, atol=1e-12)


def test_released_pairs_take_identities_one_to_one() -> None:
    with pytest.raises(InputError, match="2 generated and 1 reference"):
        id_booth_pairs(["a", "b"], ["a"])


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


def test_scores_name_the_identities_in_them() -> None:
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
