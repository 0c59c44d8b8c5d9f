from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facebench.core.errors import InputError
from facebench.metrics import closest_faces, leakage


def people(rng: np.random.Generator, count: int, images: int, spread: float = 0.5) -> np.ndarray:
    centres = rng.standard_normal((count, 1, 16))
    return (centres + spread * rng.standard_normal((count, images, 16))).reshape(-1, 16)


def test_other_people_are_matched_at_about_the_stated_rate() -> None:
    rng = np.random.default_rng(0)
    training, names = people(rng, 400, 4), [str(i // 4) for i in range(1600)]
    answer = leakage(people(rng, 400, 4), training, names, rate=0.05)
    assert answer.share == pytest.approx(0.05, abs=0.025)
    assert leakage(training, training, names, rate=0.05).share == 1.0


def test_more_copies_mean_more_leakage() -> None:
    rng = np.random.default_rng(1)
    training, names = people(rng, 300, 3), [str(i // 3) for i in range(900)]
    strangers = people(rng, 100, 1)
    shares = [
        leakage(np.concatenate([strangers, training[:k]]), training, names).share for k in (0, 20, 100, 400)
    ]
    assert shares == sorted(shares)
    assert shares[-1] > 0.75


def test_a_training_set_without_identities_has_a_note() -> None:
    rng = np.random.default_rng(2)
    training = people(rng, 50, 4)
    named = leakage(training[:5], training, [str(i // 4) for i in range(200)])
    unnamed = leakage(training[:5], training)
    assert "has no identities" in unnamed.notes["share"]
    assert unnamed.threshold > named.threshold


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 100))
def test_the_closest_face_equals_that_of_a_plain_search(n: int, m: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    left, right = rng.standard_normal((n, 5)), rng.standard_normal((m, 5))
    scores = (left / np.linalg.norm(left, axis=1, keepdims=True)) @ (
        right / np.linalg.norm(right, axis=1, keepdims=True)
    ).T
    rows, cosines = closest_faces(left, right)
    assert np.allclose(cosines, scores.max(axis=1))
    assert np.allclose(scores[np.arange(n), rows], cosines)


def test_a_training_set_of_one_person_is_rejected() -> None:
    with pytest.raises(InputError, match="at least two identities"):
        leakage(np.eye(3), np.eye(3), ["a", "a", "a"])
    with pytest.raises(InputError, match="between 0 and 1"):
        leakage(np.eye(3), np.eye(3), rate=0.0)


def test_identities_may_be_an_array_and_zero_is_a_person() -> None:
    rng = np.random.default_rng(3)
    training, numbers = people(rng, 40, 4), np.arange(160) // 4
    expected = leakage(training[:5], training, [str(number) for number in numbers])
    for identities in (numbers, numbers.tolist(), numbers.astype(str), numbers.astype(object)):
        assert leakage(training[:5], training, identities) == expected


@pytest.mark.parametrize("identities", [["a", "b"], [["a"]] * 3, "abcd", np.array(5)])
def test_another_number_of_identities_is_rejected(identities: object) -> None:
    with pytest.raises(InputError, match=r"identities have shape .* 3 training faces"):
        leakage(np.eye(3), np.eye(3), identities)  # type: ignore[arg-type]
