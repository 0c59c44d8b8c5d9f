"""Share of pairs that a recogniser verifies as one person, at a threshold with a known false match rate.

share_verified = |{i : x_i · y_i / (|x_i| |y_i|) >= T}| / n
"""

from __future__ import annotations

import numpy as np

from facebench.metrics.arrays import Array, Floats
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
