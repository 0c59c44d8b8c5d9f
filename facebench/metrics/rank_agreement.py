"""Agreement of a metric with ratings of people: rank correlation, and share of pairs in the preferred order.

rank correlation = Pearson correlation of the ranks, ties with their mean rank (Spearman)
pair agreement   = share of pairs whose preferred image has the larger value, ties count half
"""

from __future__ import annotations

import numpy as np

from facebench.core.errors import InputError
from facebench.metrics.arrays import Array, Floats, vector


def rank_correlation(ratings: Array, values: Array) -> float:
    """Spearman's rank correlation of ratings and values, in [-1, 1]; NaN when one side is constant.

    Args:
        ratings: (n,) ratings of images, higher is better.
        values: (n,) numbers of the same images.

    Raises:
        InputError: different lengths, fewer than two, NaN or infinity.

    Source:
        Spearman 1904, "The proof and measurement of association between two things".

    Example:
        >>> rank_correlation([1, 2, 3, 5], [0.1, 0.2, 0.9, 0.4])
        0.8
    """
    people, numbers = vector(ratings, "ratings", 2), vector(values, "values", 2)
    if len(people) != len(numbers):
        raise InputError(f"{len(people)} ratings and {len(numbers)} values do not match.")
    if np.ptp(people) == 0 or np.ptp(numbers) == 0:
        return float("nan")
    import scipy.stats  # here, because the import takes 0.4 s

    x, y = (scipy.stats.rankdata(side) - (len(people) + 1) / 2 for side in (people, numbers))
    return float(np.clip((x @ y) / np.sqrt((x @ x) * (y @ y)), -1.0, 1.0))


def pair_agreement(preferred: Array, rejected: Array) -> float:
    """Share of pairs in which the preferred image has the larger value, in [0, 1]; chance is 0.5.

    Args:
        preferred: (n,) values of the images that people preferred.
        rejected: (n,) values of the other images of the pairs.

    Raises:
        InputError: different lengths, empty, NaN or infinity.

    Source:
        Two-alternative forced choice, as in Zhang et al. 2018 (LPIPS, arXiv:1801.03924), section 3.

    Example:
        >>> pair_agreement([0.9, 0.4, 0.5], [0.1, 0.6, 0.5])
        0.5
    """
    return float(pair_agreements(preferred, rejected).mean())


def pair_agreements(preferred: Array, rejected: Array) -> Floats:
    """1, ½ or 0 for each pair; see `pair_agreement`."""
    first, second = vector(preferred, "preferred"), vector(rejected, "rejected")
    if len(first) != len(second):
        raise InputError(f"{len(first)} preferred and {len(second)} rejected images do not match.")
    return np.asarray((np.sign(first - second) + 1) / 2)
