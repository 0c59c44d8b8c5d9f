"""Share of pairs that a recogniser verifies as one person, at a threshold with a known false match rate.

share_verified = |{i : x_i · y_i / (|x_i| |y_i|) >= T}| / n
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from facebench.core.errors import InputError
from facebench.metrics.arrays import Array, Floats, vector
from facebench.metrics.mean_std import MeanStd, mean_std
from facebench.metrics.paired import cosine_similarity


def share_verified(generated: Array, reference: Array, *, threshold: float) -> MeanStd:
    """Share of pairs whose cosine similarity reaches a threshold, in [0, 1]; higher is better.

    Args:
        generated: (n, d) embeddings of edited or generated images.
        reference: (n, d) embeddings of the images that should show the same person.
        threshold: cosine from which a recogniser accepts a pair; it belongs to one network and one false match rate.

    Returns:
        The share as `mean`; `std` is that of the n answers (0 or 1).

    Raises:
        InputError: different shapes, a row of zeros, NaN or infinity.

    Source:
        True match rate at a fixed threshold, ISO/IEC 19795-1:2021.

    Example:
        >>> share_verified([[1.0, 0.0], [1.0, 0.0]], [[1.0, 0.1], [0.0, 1.0]], threshold=0.5).mean
        0.5
    """
    return mean_std(is_verified(generated, reference, threshold=threshold))


def is_verified(generated: Array, reference: Array, *, threshold: float) -> Floats:
    """1 for each pair whose cosine similarity reaches the threshold, else 0, (n,); see `share_verified`."""
    return np.asarray(cosine_similarity(generated, reference) >= threshold, dtype=np.float64)


@dataclass(frozen=True)
class VerifiedShare:
    """Share of verified pairs.

    Attributes:
        share: share of pairs whose cosine reaches the threshold, in [0, 1]; higher is better.
        threshold: mean of the thresholds.
    """

    share: float
    threshold: float


def share_verified_at(generated: Array, partner: Array, threshold: Array) -> VerifiedShare:
    """Share of generated faces that are verified as their partner at a threshold of each row, in [0, 1].

    Args:
        generated: (n, d) embeddings.
        partner: (n, d) embeddings of the partners, such as the sources of edits.
        threshold: (n,) cosine from which a pair counts as one person, such as `threshold_at`.

    Raises:
        InputError: different shapes, a row of zeros, empty, NaN or infinity.

    Example:
        >>> share_verified_at([[1, 0], [0, 1]], [[1, 0], [1, 0]], [0.5, 0.5]).share
        0.5
    """
    verified = is_verified_at(generated, partner, threshold)
    return VerifiedShare(float(verified.mean()), float(np.mean(np.asarray(threshold, np.float64))))


def is_verified_at(generated: Array, partner: Array, threshold: Array) -> Floats:
    """1 for each pair whose cosine reaches the threshold of its row, else 0, (n,); see `share_verified_at`."""
    cosines, limits = cosine_similarity(generated, partner), vector(threshold, "threshold")
    if len(cosines) != len(limits):
        raise InputError(f"{len(cosines)} pairs and {len(limits)} thresholds do not match.")
    return np.asarray(cosines >= limits, np.float64)


def threshold_at(impostor: Array, rate: float) -> float:
    """Lowest threshold at which the false match rate is at most `rate`.

    Args:
        impostor: (m,) similarities of pairs of two people; a pair matches when its score reaches the threshold.
        rate: false match rate as a fraction, at least 1 / m.

    Raises:
        InputError: too few scores for the rate, NaN or infinity.

    Source:
        ISO/IEC 19795-1:2021, false match rate.

    Example:
        >>> 0.2 < threshold_at([0.0, 0.1, 0.2, 0.3], 0.25) <= 0.3
        True
    """
    scores = np.sort(vector(impostor, "impostor"))[::-1]
    accepted = int(np.floor(rate * len(scores) + 1e-9))
    if accepted < 1:
        raise InputError(
            f"{len(scores)} pairs of different people, a false match rate of 1/{1 / rate:.0f} needs {1 / rate:.0f}"
        )
    # The highest score that must not match; ties with it do not match either.
    return float(np.nextafter(scores[accepted], np.inf)) if accepted < len(scores) else float(scores[-1])
