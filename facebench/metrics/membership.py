"""Membership: whether training samples lie nearer to the generated ones than held-out samples do.

    AUC = P(d(training) < d(held-out)) + P(equal) / 2,   d(x) = distance of x to its nearest generated row

0.5: the generated set does not reveal what was trained on. 1: it separates every training sample from the held-out
ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from facebench.metrics.arrays import Array, Floats, Ints, two_matrices
from facebench.metrics.balls import Sets
from facebench.metrics.knn import nearest_neighbours
from facebench.metrics.rates import comparisons_won


@dataclass(frozen=True)
class Membership:
    """How well the distance to the generated set separates training from held-out samples.

    Attributes:
        auc: probability that a training sample is nearer than a held-out one, in [0, 1]; 0.5 is best.
        p: p value of the one-sided Mann-Whitney test that training samples are not nearer.
        ratio: median distance of training samples over that of held-out samples.
    """

    auc: float
    p: float
    ratio: float


def membership(generated: Array, training: Array, held_out: Array) -> Membership:
    """Test whether training samples are nearer to the generated set than held-out ones; see `Membership`.

    Training and held-out samples must come from one distribution, with other people in each set when people repeat:
    images of a trained person are nearer even if none was copied.

    Args:
        generated: (n, d) features or pixels.
        training: (m, d) features of the training set, or a sample of it.
        held_out: (k, d) features of samples that were not trained on.

    Raises:
        InputError: an empty set, different widths, NaN or infinity.

    Source:
        Chen et al. 2020, "GAN-Leaks" (arXiv:1909.03935), full black-box attack; Mann and Whitney 1947.

    Example:
        >>> points = np.random.default_rng(0).standard_normal((300, 4))
        >>> membership(points[:100] + 0.01, points[:100], points[100:]).auc
        1.0
    """
    generated, training = two_matrices(generated, training)
    generated, held_out = two_matrices(generated, held_out)
    return _compare(_nearest(training, generated), _nearest(held_out, generated))


def membership_leave_out(sides: Sequence[Array], labels: Sequence[Ints], groups: int) -> list[Membership]:
    """Results without each group of rows of the generated, training and held-out set; one pass over the data.

    Args:
        sides: the three sets.
        labels: the group of each row, by set.
        groups: number of groups.
    """
    generated, points = sides[0], sides[1:]
    kept = [_nearest_without(rows, generated, labels[0], groups) for rows in points]
    return [
        _compare(*(without[g][label != g] for without, label in zip(kept, labels[1:], strict=True)))
        for g in range(groups)
    ]


def _compare(trained: Floats, others: Floats) -> Membership:
    """Compare the distances of training samples with those of held-out samples."""
    wins = comparisons_won(np.sort(-trained), np.sort(-others))
    import scipy.stats  # here, because the import takes 0.4 s

    test = scipy.stats.mannwhitneyu(trained, others, alternative="less")
    median = float(np.median(others))
    return Membership(
        auc=wins / (2 * len(trained) * len(others)),
        p=float(test.pvalue),
        ratio=float(np.median(trained)) / median if median > 0 else float("nan"),
    )


def _nearest(points: Array, generated: Array) -> Floats:
    """Distance of each point to its nearest generated row."""
    sides = Sets.of(points, generated)
    return np.asarray(np.sqrt(nearest_neighbours(sides.generated, sides.reference, 1)[0][:, 0]))


def _nearest_without(points: Array, generated: Array, labels: Ints, groups: int) -> Floats:
    """Distance of each point to its nearest generated row outside each group, (groups, points)."""
    within = np.full((groups, len(points)), np.inf)
    for g in np.unique(labels):
        within[g] = _nearest(points, generated[labels == g])
    nearest = within.argmin(axis=0)
    first, second = np.partition(within, 1, axis=0)[:2]
    return np.asarray(np.where(nearest == np.arange(groups)[:, None], second, first))
