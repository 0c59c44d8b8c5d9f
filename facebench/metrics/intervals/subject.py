"""Verification of one identity: genuine pairs of its images, impostor pairs with other identities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from facebench.core.errors import InputError
from facebench.metrics.arrays import Array, Floats, Ints, matrix, unit_rows
from facebench.metrics.interval import Interval
from facebench.metrics.intervals.bca import bca_interval
from facebench.metrics.intervals.identity import statistics_of_weights, values_of
from facebench.metrics.intervals.shares import share_intervals
from facebench.metrics.units import GROUPS, Units
from facebench.metrics.verification import verification

FEW_SUBJECT_IMAGES = 10
"""Fewer images of an identity give the interval a note."""


@dataclass(frozen=True)
class SubjectScores:
    """Cosine scores of one identity.

    Attributes:
        genuine: (g,) scores of pairs that show the identity twice.
        impostor: (i,) scores of an image of the identity with one of another identity.
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
    """BCa bootstrap intervals of the verification statistics of one identity.

    The images of the identity are drawn with replacement, and so are the other identities. An image drawn w times and
    an identity drawn v times give their pairs the weight w v.

    Args:
        scores: from `subject_scores`.
        resamples: number of resamples.
        seed: seed of the draws.
        level: nominal coverage.

    Returns:
        An interval for every statistic of `Verification`, by field name. Resamples without a genuine pair are left
        out, and the note counts them.

    Source:
        As `bootstrap_identities`, within one identity.
    """
    table = _Table.of(scores)
    rng = np.random.default_rng(seed)
    draws = [
        table.statistics(
            np.concatenate([_drawn(rng, table.own), _drawn(rng, table.partners)]), _drawn(rng, table.others)
        )
        for _ in range(resamples)
    ]
    value = table.statistics(np.ones(table.images), np.ones(table.others))
    assert value is not None
    leave_out = table.leave_out(seed)
    note = ""
    if table.own < FEW_SUBJECT_IMAGES:
        note = f"interval from {table.own} images of the identity, below {FEW_SUBJECT_IMAGES}"
    found = {
        name: replace(
            bca_interval(
                number,
                values_of(draws, name),
                [values_of(factor, name) for factor in leave_out],
                level,
                table.own,
                note,
            ),
            unit="image",
        )
        for name, number in value.items()
    }
    return share_intervals(verification, value, found)


@dataclass(frozen=True)
class _Table:
    """Scores of one identity sorted into thresholds."""

    scores: SubjectScores
    thresholds: Floats
    genuine: Ints
    impostor: Ints
    own: int
    others: int

    @classmethod
    def of(cls, scores: SubjectScores) -> _Table:
        thresholds, places = np.unique(np.concatenate([scores.genuine, scores.impostor]), return_inverse=True)
        genuine, impostor = np.split(places, [len(scores.genuine)])
        own = int(scores.impostor_images.max()) + 1
        return cls(scores, thresholds, genuine, impostor, own, int(scores.impostor_identities.max()) + 1)

    @property
    def images(self) -> int:
        return self.scores.images

    @property
    def partners(self) -> int:
        return self.images - self.own

    def drawn(self, rng: np.random.Generator) -> dict[str, float] | None:
        """All statistics of one resample."""
        images = np.concatenate([_drawn(rng, self.own), _drawn(rng, self.partners)])
        return self.statistics(images, _drawn(rng, self.others))

    def statistics(self, images: Floats, others: Floats) -> dict[str, float] | None:
        """All statistics with weights of images and of other identities; None without pairs of one kind."""
        genuine = images[self.scores.genuine_images].prod(axis=1)
        impostor = images[self.scores.impostor_images] * others[self.scores.impostor_identities]
        if not genuine.any() or not impostor.any():
            return None
        sides = [
            np.asarray(np.bincount(at, weights, minlength=len(self.thresholds)), dtype=np.float64)
            for at, weights in ((self.genuine, genuine), (self.impostor, impostor))
        ]
        return statistics_of_weights(self.thresholds, sides[0], sides[1], len(impostor))

    def leave_out(self, seed: int) -> list[list[dict[str, float] | None]]:
        """Statistics without each group of the identity's images, and without each group of other identities."""
        images = Units.rows(self.images).deal(GROUPS, seed)[0]
        others = Units.rows(self.others).deal(GROUPS, seed)[0]
        every = np.ones(self.others)
        return [
            [self.statistics((images != g) * 1.0, every) for g in range(images.max() + 1)],
            [self.statistics(np.ones(self.images), (others != g) * 1.0) for g in range(others.max() + 1)],
        ]


def _drawn(rng: np.random.Generator, n: int) -> Floats:
    """How often each of n is drawn in n draws with replacement."""
    return np.bincount(rng.integers(n, size=n), minlength=n).astype(np.float64) if n else np.empty(0)
