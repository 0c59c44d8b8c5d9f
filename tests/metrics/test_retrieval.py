from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st

from facebench.core.errors import InputError
from facebench.metrics import retrieval
from facebench.metrics.retrieval import retrieval_terms
from tests.helpers.metric_inputs import NewGolden, few, gaussian

GOLDEN = NewGolden()
CASES = [("main", 10), ("n_below_d", 5), ("n_below_d_unequal", 5), ("lattice", 5)]


@pytest.mark.parametrize(("case", "people"), CASES)
def test_golden(case: str, people: int) -> None:
    query, gallery = GOLDEN.sides(case)
    result = retrieval(query, gallery, np.arange(len(query)) % people, np.arange(len(gallery)) % people)
    expected = GOLDEN.case(case)
    official = expected[f"finer_map_query_generated_gallery_real_{people}_ids"]
    assert result.map == pytest.approx(official, abs=3e-3 if case == "lattice" else 1e-5)
    own = expected[f"own_float64_stable_sort_map_{people}_ids"]
    assert result.map == pytest.approx(own, abs=3e-3 if case == "lattice" else 1e-9)
    cosine = expected[f"finer_mean_same_identity_cosine_{people}_ids"]
    assert result.mean_cosine == pytest.approx(cosine, abs=1e-5)
    ranks = expected[f"rank_1_5_10_own_formula_stable_sort_{people}_ids"]
    assert [result.rank1, result.rank5, result.rank10] == pytest.approx(ranks, abs=1e-12)


@few
@given(st.integers(1, 20), st.integers(1, 30), st.integers(0, 1000))
def test_average_precision_is_that_of_scikit_learn(n: int, m: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    query, gallery = rng.standard_normal((n, 4)), rng.standard_normal((m, 4))
    asked, known = rng.integers(4, size=n), rng.integers(4, size=m)
    cosines = (query / np.linalg.norm(query, axis=1, keepdims=True)) @ (
        gallery / np.linalg.norm(gallery, axis=1, keepdims=True)
    ).T
    expected = [
        sklearn.metrics.average_precision_score(known == person, row) if person in known else 0.0
        for person, row in zip(asked, cosines, strict=True)
    ]
    terms = retrieval_terms(query, gallery, asked, known)
    assert terms["map"] == pytest.approx(np.array(expected), abs=1e-9)


@few
@given(st.integers(2, 20), st.integers(1, 30), st.integers(0, 1000))
def test_rates_grow_with_k_and_do_not_depend_on_order_or_length(n: int, m: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    query, gallery = rng.standard_normal((n, 4)), rng.standard_normal((m, 4))
    asked, known = rng.integers(4, size=n), rng.integers(4, size=m)
    result = retrieval(query, gallery, asked, known)
    assert result.rank1 <= result.rank5 <= result.rank10
    order, other = rng.permutation(n), rng.permutation(m)
    shuffled = retrieval(3 * query[order], 0.5 * gallery[other], asked[order], known[other])
    assert shuffled.map == pytest.approx(result.map, rel=1e-9)
    assert shuffled.rank5 == result.rank5


def test_blocks_give_what_one_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    query, gallery = gaussian(0, 60, 5), gaussian(1, 40, 5)
    labels = np.arange(60) % 7, np.arange(40) % 7
    whole = retrieval(query, gallery, *labels)
    monkeypatch.setattr("facebench.metrics.arrays.BLOCK_ELEMENTS", 1)
    assert retrieval(query, gallery, *labels) == whole


def test_a_query_without_its_person_counts_zero() -> None:
    faces = np.eye(3)
    result = retrieval(faces, faces, ["a", "b", "x"], ["a", "b", "c"])
    assert result.map == pytest.approx(2 / 3)
    assert result.rank1 == pytest.approx(2 / 3)
    assert result.mean_cosine == pytest.approx(1.0)
    nobody = retrieval(faces, faces, ["x", "y", "z"], ["a", "b", "c"])
    assert (nobody.map, nobody.rank10) == (0.0, 0.0)
    assert np.isnan(nobody.mean_cosine)


def test_bad_input_is_refused() -> None:
    faces = np.eye(3)
    with pytest.raises(InputError, match="2 identities for 3 rows"):
        retrieval(faces, faces, ["a", "b"], ["a", "b", "c"])
    with pytest.raises(InputError, match="query has 3 features, gallery has 2"):
        retrieval(faces, np.eye(2), "abc", "ab")
    with pytest.raises(InputError, match="all zeros"):
        retrieval(np.zeros((3, 3)), faces, "abc", "abc")
    with pytest.raises(InputError, match="at least 1 rows"):
        retrieval(faces, np.empty((0, 3)), "abc", "")
