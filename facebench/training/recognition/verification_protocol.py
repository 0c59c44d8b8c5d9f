"""Ten-fold verification protocol of LFW and of the benchmarks that follow it.

    e   = (f(x) + f(mirror x)) / ‖f(x) + f(mirror x)‖      embedding of an image
    d   = ‖e_1 − e_2‖²                                      distance of a pair; accepted when d < t
    t_k = argmax_t accuracy(t) over the pairs outside fold k
    accuracy = mean over k of accuracy(t_k) in fold k

Source: Huang et al. 2007 (LFW), as measured by insightface and by ID-Booth's recognition experiment.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from facebench.core.errors import InputError

Floats = npt.NDArray[np.float64]
THRESHOLDS = np.arange(0, 4, 0.01)
FOLDS = 10


@dataclass(frozen=True, eq=False)
class FoldedAccuracy:
    """Verification accuracy over folds."""

    accuracy: float
    """Mean over the folds, in [0, 1]; higher is better."""
    std: float
    """Population standard deviation over the folds."""
    fold_accuracy: Floats
    """(folds,) accuracy in each fold, at the threshold chosen on the other folds."""
    fold_threshold: Floats
    """(folds,) squared Euclidean distance below which a pair is accepted."""
    tpr: Floats
    """(thresholds,) share of genuine pairs accepted, mean over the folds."""
    fpr: Floats
    """(thresholds,) share of impostor pairs accepted, mean over the folds."""


def flip_sum(embeddings: npt.ArrayLike, mirrored: npt.ArrayLike) -> Floats:
    """Add the raw embeddings of images and of their mirror images, and normalise the sums.

        e = (f(x) + f(mirror x)) / ‖f(x) + f(mirror x)‖

    Args:
        embeddings: (n, d) raw embeddings, not normalised.
        mirrored: (n, d) raw embeddings of the mirror images.

    Returns:
        (n, d) float64 embeddings of unit length.

    Raises:
        InputError: the shapes differ, or a sum is zero or not finite.
    """
    left, right = np.asarray(embeddings, dtype=np.float64), np.asarray(mirrored, dtype=np.float64)
    if left.ndim != 2 or left.shape != right.shape:
        raise InputError(f"Embeddings {left.shape} and mirrored embeddings {right.shape} differ in shape.")
    total = left + right
    norms = np.linalg.norm(total, axis=1, keepdims=True)
    invalid = np.flatnonzero(~(np.isfinite(norms[:, 0]) & (norms[:, 0] > 0)))
    if len(invalid):
        raise InputError(
            f"Embedding {invalid[0]} is zero or not finite; {len(invalid)} of {len(left)} embeddings are."
        )
    return np.asarray(total / norms, dtype=np.float64)


def pair_distances(embeddings: npt.ArrayLike) -> Floats:
    """Squared Euclidean distances d_i = ‖e_2i − e_2i+1‖² of consecutive rows.

    Example:
        >>> pair_distances([[1.0, 0.0], [0.0, 1.0]])
        array([2.])
    """
    rows = np.asarray(embeddings, dtype=np.float64)
    return np.asarray(((rows[0::2] - rows[1::2]) ** 2).sum(axis=1), dtype=np.float64)


def fold_accuracies(distances: npt.ArrayLike, same: npt.ArrayLike) -> FoldedAccuracy:
    """Accuracy in ten consecutive folds, each at the best threshold of the other nine.

        t_k = argmax_t Σ_{i outside fold k} [ (d_i < t) = same_i ]      (the smallest of equal maxima)
        accuracy_k = mean_{i in fold k} [ (d_i < t_k) = same_i ]

    Args:
        distances: (n,) squared Euclidean distances of the pairs, in the order of the benchmark.
        same: (n,) True where both images show one person.

    Raises:
        InputError: there are fewer pairs than folds, the lengths differ, or a distance is not finite.
    """
    distance, truth = np.asarray(distances, dtype=np.float64), np.asarray(same, dtype=bool)
    if distance.shape != truth.shape or distance.ndim != 1:
        raise InputError(f"Distances {distance.shape} and labels {truth.shape} of the pairs differ in shape.")
    if len(distance) < FOLDS or not np.isfinite(distance).all():
        raise InputError(f"Ten-fold accuracy needs at least {FOLDS} pairs with finite distances.")
    accepted = distance[None] < THRESHOLDS[:, None]
    correct = accepted == truth
    accuracy, threshold, tpr, fpr = [], [], [], []
    for fold in np.array_split(np.arange(len(distance)), FOLDS):
        correct_elsewhere = correct.sum(axis=1) - correct[:, fold].sum(axis=1)
        best = int(np.argmax(correct_elsewhere))
        accuracy.append(correct[best, fold].mean())
        threshold.append(THRESHOLDS[best])
        genuine, impostor = fold[truth[fold]], fold[~truth[fold]]
        tpr.append(_accepted_share(accepted[:, genuine]))
        fpr.append(_accepted_share(accepted[:, impostor]))
    return FoldedAccuracy(
        accuracy=float(np.mean(accuracy)),
        std=float(np.std(accuracy)),
        fold_accuracy=np.array(accuracy),
        fold_threshold=np.array(threshold),
        tpr=np.mean(tpr, axis=0),
        fpr=np.mean(fpr, axis=0),
    )


def verification_accuracy(
    embeddings: npt.ArrayLike, mirrored: npt.ArrayLike, same: npt.ArrayLike
) -> FoldedAccuracy:
    """Ten-fold accuracy of a recogniser on a benchmark; higher is better.

    Args:
        embeddings: (2n, d) raw embeddings; rows 2i and 2i + 1 are pair i.
        mirrored: (2n, d) raw embeddings of the mirror images.
        same: (n,) True where both images of a pair show one person.

    Raises:
        InputError: see `flip_sum` and `fold_accuracies`.
    """
    return fold_accuracies(pair_distances(flip_sum(embeddings, mirrored)), same)


def _accepted_share(accepted: npt.NDArray[np.bool_]) -> Floats:
    """Share of accepted pairs at each threshold; 0 when the fold has no such pairs, as in insightface."""
    if accepted.shape[1] == 0:
        return np.zeros(len(accepted))
    return np.asarray(accepted.mean(axis=1), dtype=np.float64)
