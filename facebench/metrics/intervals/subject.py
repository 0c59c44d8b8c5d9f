"""Verification of one identity: its own pairs, and its pairs with everybody else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from facebench.core.errors import InputError
from facebench.metrics.arrays import Array, Floats, Ints, matrix, unit_rows
from facebench.metrics.intervals.interval import Interval, few, numbers, percentile
from facebench.metrics.rates import Curve, Spread
from facebench.metrics.verification import summarise

FEW_SUBJECT_IMAGES = 10
"""Images of one identity below which an interval over them is marked as one not to be trusted."""


@dataclass(frozen=True)
class SubjectScores:
    """Cosine scores of one identity.

    Attributes:
        genuine: (g,) scores of pairs that show the identity twice.
        impostor: (i,) scores of an image of the identity with one of somebody else.
        genuine_images: (g, 2) the images of each genuine pair; those of the reference are numbered after the
            identity's own.
        impostor_images: (i,) the image of the identity in each impostor pair.
        impostor_identities: (i,) who the other is, as a number.
        images: how many images of the identity there are, on both sides.
    """

    genuine: Floats
    impostor: Floats
    genuine_images: Ints
    impostor_images: Ints
    impostor_identities: Ints
    images: int


def subject_scores(
    own: Array, others: Array, other_identities: Sequence[object], reference: Array | None = None
) -> SubjectScores:
    """Scores of one identity among others.

    Args:
        own: (n, d) embeddings of the identity.
        others: (m, d) embeddings of other people.
        other_identities: (m,) who they are.
        reference: (r, d) reference images of the identity, compared with every own one; without, every two
            of its own images are compared.

    Raises:
        InputError: no genuine or no impostor pair, a row of zeros, NaN or infinity.

    Example:
        >>> scores = subject_scores([[1.0, 0.0], [2.0, 0.0]], [[0.0, 1.0]], ["b"])
        >>> scores.genuine.tolist(), scores.impostor.tolist()
        ([1.0], [0.0, 0.0])
    """
    n, m = len(own), len(others)
    if m == 0 or n < (2 if reference is None else 1) or (reference is not None and len(reference) == 0):
        raise InputError("verification needs genuine and impostor pairs; this identity lacks one kind.")
    rows = unit_rows(matrix(own, "own"), "own")
    if reference is None:
        left, right = np.triu_indices(n, 1)
        genuine, images = (rows @ rows.T)[left, right], n
    else:
        known = unit_rows(matrix(reference, "reference"), "reference")
        left, right = (index.ravel() for index in np.indices((n, len(known))))
        genuine, right, images = (rows @ known.T).ravel(), right + n, n + len(known)
    _, codes = np.unique([str(name) for name in other_identities], return_inverse=True)
    impostor = rows @ unit_rows(matrix(others, "others"), "others").T
    return SubjectScores(
        genuine,
        impostor.ravel(),
        np.stack([left, right], axis=1),
        np.repeat(np.arange(n), m),
        np.tile(codes, n),
        images,
    )


def bootstrap_subject(
    scores: SubjectScores, *, resamples: int = 300, seed: int = 0, level: float = 0.95
) -> dict[str, Interval]:
    """Percentile bootstrap of the verification statistics of one identity.

    The images of the identity are drawn with replacement, and so are the other identities: both could have been
    others. An image drawn w times and an identity drawn v times give their pairs the weight w v.

    Args:
        scores: from `subject_scores`.
        resamples: how many resamples.
        seed: of the draws.
        level: of the intervals.

    Returns:
        An interval for every statistic of `Verification`, by field name. Resamples without a genuine pair are
        left out, and the note counts them.

    Source:
        As `bootstrap_identities`, within one identity.
    """
    rng = np.random.default_rng(seed)
    own = int(scores.impostor_images.max()) + 1
    others = int(scores.impostor_identities.max()) + 1
    thresholds, places = np.unique(np.concatenate([scores.genuine, scores.impostor]), return_inverse=True)
    split = np.split(places, [len(scores.genuine)])
    draws = []
    for _ in range(resamples):
        images = np.concatenate([_drawn(rng, own), _drawn(rng, scores.images - own)])
        genuine = images[scores.genuine_images].prod(axis=1)
        impostor = images[scores.impostor_images] * _drawn(rng, others)[scores.impostor_identities]
        if genuine.any() and impostor.any():
            sides = [
                np.asarray(np.bincount(at, weights, minlength=len(thresholds)), dtype=np.float64)
                for at, weights in zip(split, (genuine, impostor), strict=True)
            ]
            draws.append(_statistics(thresholds, sides[0], sides[1], len(impostor)))
    note = few(own, FEW_SUBJECT_IMAGES, "images of the identity")
    if len(draws) < resamples:
        note = "; ".join(filter(None, [note, f"{resamples - len(draws)} resamples had no genuine pair"]))
    return {
        name: percentile([draw[name] for draw in draws], level, "bootstrap_subject", note)
        for name in (draws[0] if draws else ())
    }


def _drawn(rng: np.random.Generator, n: int) -> Floats:
    """How often each of n is drawn in n draws with replacement."""
    return np.bincount(rng.integers(n, size=n), minlength=n).astype(np.float64) if n else np.empty(0)


def _statistics(thresholds: Floats, genuine: Floats, impostor: Floats, count: int) -> dict[str, float]:
    used = genuine + impostor > 0
    spreads = []
    for weights, size in ((genuine, len(genuine)), (impostor, count)):
        mean = float(np.average(thresholds, weights=weights))
        std = float(np.sqrt(np.average(np.square(thresholds - mean), weights=weights)))
        spreads.append(Spread(size, mean, std))
    return numbers(summarise(Curve(thresholds[used], genuine[used], impostor[used]), *spreads))
