"""Ten-fold protocol: equality with the released code, and results on constructed data."""

from __future__ import annotations

import numpy as np
import pytest

from facebench.core.errors import InputError
from facebench.training.recognition.verification_protocol import (
    flip_sum,
    fold_accuracies,
    pair_distances,
    verification_accuracy,
)


def test_folds_thresholds_and_distances_equal_the_released_ones(golden):
    record = golden("recognition_utility")
    arrays, values = record.arrays, record.manifest["values"]
    distance = pair_distances(flip_sum(arrays["embeddings"], arrays["embeddings_flipped"]))
    np.testing.assert_allclose(distance, arrays["distance"], rtol=1e-9)
    result = verification_accuracy(arrays["embeddings"], arrays["embeddings_flipped"], arrays["issame"])
    np.testing.assert_array_equal(result.fold_accuracy, arrays["fold_accuracy"])
    np.testing.assert_array_equal(result.fold_threshold, arrays["fold_threshold"])
    np.testing.assert_allclose(result.tpr, arrays["tpr"], rtol=1e-12)
    np.testing.assert_allclose(result.fpr, arrays["fpr"], rtol=1e-12)
    assert result.accuracy == pytest.approx(values["accuracy_mean"], rel=1e-12)
    assert result.std == pytest.approx(values["accuracy_std"], rel=1e-12)


def test_separable_pairs_have_an_accuracy_of_1():
    same = np.tile([True, False], 20)
    assert fold_accuracies(np.where(same, 0.5, 2.5), same).accuracy == 1.0


def test_each_fold_is_measured_at_the_threshold_of_the_other_folds():
    """The distances of one fold are shifted by 2. Its own best threshold is near 3, that of the others near 1."""
    same = np.tile([True, False], 50)
    distance = np.where(same, 0.5, 1.5)
    distance[:10] = np.where(same[:10], 2.5, 3.5)
    result = fold_accuracies(distance, same)
    assert result.fold_accuracy[0] == 0.5
    assert result.fold_threshold[0] < 1
    np.testing.assert_array_equal(result.fold_accuracy[1:], 1.0)


def test_of_equal_thresholds_the_smallest_is_chosen():
    same = np.tile([True, False], 20)
    result = fold_accuracies(np.where(same, 0.5, 2.5), same)
    np.testing.assert_allclose(result.fold_threshold, 0.51)


def test_a_remainder_of_pairs_goes_to_the_first_folds():
    """Of 103 pairs, the first three folds hold eleven. Only pair 10 is wrong, the last pair of the first fold."""
    same = np.ones(103, dtype=bool)
    same[1::2] = False
    distance = np.where(same, 0.1, 3.0)
    distance[10] = 3.0
    result = fold_accuracies(distance, same)
    assert result.fold_accuracy[0] == pytest.approx(10 / 11)
    np.testing.assert_array_equal(result.fold_accuracy[1:], 1.0)


def test_embeddings_are_added_before_normalisation():
    """A long embedding has more weight than the short embedding of its mirror image."""
    np.testing.assert_allclose(flip_sum([[3.0, 0.0]], [[0.0, 4.0]]), [[0.6, 0.8]])


@pytest.mark.parametrize(
    ("distance", "same"),
    [(np.zeros(9), np.ones(9)), (np.zeros(20), np.ones(19)), (np.full(20, np.nan), np.ones(20))],
)
def test_invalid_distances_are_refused(distance, same):
    with pytest.raises(InputError):
        fold_accuracies(distance, same)


def test_a_sum_of_zero_is_refused_with_its_row():
    with pytest.raises(InputError, match="Embedding 1"):
        flip_sum([[1.0, 0.0], [1.0, 0.0]], [[1.0, 0.0], [-1.0, 0.0]])
