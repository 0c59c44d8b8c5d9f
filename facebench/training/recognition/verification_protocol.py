"""The ten-fold verification protocol of LFW and its relatives, as recognition-utility papers report it.

Embeddings of an image and its mirror image are added, the sum is normalised, and a pair is accepted when the
squared Euclidean distance lies below a threshold that the other nine folds chose.

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
    """Mean of the folds, in [0, 1]; higher is better."""
    std: float
    """Population standard deviation of the folds."""
    fold_accuracy: Floats
    """(folds,) each measured at a threshold that the other folds chose."""
    fold_threshold: Floats
    """(folds,) squared Euclidean distance below which a pair is accepted."""
    tpr: Floats
    """(thresholds,) share of genuine pairs accepted, mean over the folds."""
    fpr: Floats
    """(thresholds,) share of impostor pairs accepted, mean over the folds."""


def flip_sum(embeddings: npt.ArrayLike, mirrored: npt.ArrayLike) -> Floats:
    """Add raw embeddings of images and of their mirror images, then normalise the sums.

    Args:
        embeddings: (n, d), not normalised beforehand.
        mirrored: (n, d).

    Returns:
        (n, d) float64 of unit length.

    Raises:
        InputError: the shapes differ, or a sum is zero or not finite.
    """
    left, right = np.asarray(embeddings, dtype=np.float64), np.asarray(mirrored, dtype=np.float64)
    if left.ndim != 2 or left.shape != right.shape:
        raise InputError(
            f"Embeddings {left.shape} and mirrored embeddings {right.shape} do not belong together."
        )
    total = left + right
    norms = np.linalg.norm(total, axis=1, keepdims=True)
    bad = np.flatnonzero(~(np.isfinite(norms[:, 0]) & (norms[:, 0] > 0)))
    if len(bad):
        raise InputError(f"Embedding {bad[0]} is zero or not finite; {len(bad)} of {len(left)} are.")
    return np.asarray(total / norms, dtype=np.float64)


def pair_distances(embeddings: npt.ArrayLike) -> Floats:
    """Squared Euclidean distance of rows 2i and 2i + 1.

    Example:
        >>> pair_distances([[1.0, 0.0], [0.0, 1.0]])
        array([2.])
    """
    rows = np.asarray(embeddings, dtype=np.float64)
    return np.asarray(((rows[0::2] - rows[1::2]) ** 2).sum(axis=1), dtype=np.float64)


def fold_accuracies(distances: npt.ArrayLike, same: npt.ArrayLike) -> FoldedAccuracy:
    """Accuracy over ten consecutive folds, each at the threshold that is best for the other nine.

    Args:
        distances: (n,) squared Euclidean distances of the pairs, in the order of the benchmark.
        same: (n,) whether both images show one person.

    Returns:
        The accuracies.

    Raises:
        InputError: fewer pairs than folds, unequal lengths, or a distance that is not finite.
    """
    distance, truth = np.asarray(distances, dtype=np.float64), np.asarray(same, dtype=bool)
    if distance.shape != truth.shape or distance.ndim != 1:
        raise InputError(f"{distance.shape} distances do not belong to {truth.shape} pairs.")
    if len(distance) < FOLDS or not np.isfinite(distance).all():
        raise InputError(f"Ten-fold accuracy needs at least {FOLDS} pairs with finite distances.")
    accepted = distance[None] < THRESHOLDS[:, None]
    right = accepted == truth
    folds = np.array_split(np.arange(len(distance)), FOLDS)
    accuracy, threshold, tpr, fpr = [], [], [], []
    for fold in folds:
        elsewhere = right.sum(axis=1) - right[:, fold].sum(axis=1)
        best = int(np.argmax(elsewhere))  # the first of equals
        accuracy.append(right[best, fold].mean())
        threshold.append(THRESHOLDS[best])
        genuine, impostor = fold[truth[fold]], fold[~truth[fold]]
        tpr.append(_share(accepted[:, genuine]))
        fpr.append(_share(accepted[:, impostor]))
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
        same: (n,) whether both images of a pair show one person.

    Returns:
        The accuracies.

    Raises:
        InputError: see `flip_sum` and `fold_accuracies`.
    """
    return fold_accuracies(pair_distances(flip_sum(embeddings, mirrored)), same)


def _share(accepted: npt.NDArray[np.bool_]) -> Floats:
    """Share of accepted pairs at each threshold; 0 where a fold has no such pairs, as in insightface."""
    if accepted.shape[1] == 0:
        return np.zeros(len(accepted))
    return np.asarray(accepted.mean(axis=1), dtype=np.float64)
