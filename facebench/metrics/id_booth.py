"""Verification as ID-Booth's released scripts compute it, reproduced for comparison with its tables."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from facebench.core.errors import InputError
from facebench.metrics.arrays import Array, Floats, Ints, matrix, unit_rows
from facebench.metrics.pairs import PairScores
from facebench.metrics.rates import Curve, Spread
from facebench.metrics.verification import Verification, summarise


@dataclass(frozen=True)
class PairList:
    """Chosen pairs as (row of the generated set, row of the other or the same set)."""

    genuine: Ints
    impostor: Ints

    def scores(self, embeddings: Array, reference: Array | None = None) -> tuple[Floats, Floats]:
        """Cosine scores of the genuine and the impostor pairs, in order."""
        left = unit_rows(matrix(embeddings, "embeddings"), "embeddings")
        right = left if reference is None else unit_rows(matrix(reference, "reference"), "reference")
        return _cosines(left, right, self.genuine), _cosines(left, right, self.impostor)


def id_booth_scores(
    embeddings: Array,
    identities: Sequence[object] | Array,
    reference: Array | None = None,
    reference_identities: Sequence[object] | Array | None = None,
    *,
    seed: int = 0,
) -> PairScores:
    """Scores of the pair lists of `id_booth_pairs`, with the identities in them, as `pair_scores` gives them.

    Against a reference, identities are those of the generated set: the lists take both sets place by place.

    Raises:
        InputError: as `id_booth_pairs`, and for embeddings that do not fit.

    Example:
        >>> id_booth_scores([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]], ["a", "a", "b"]).genuine.tolist()
        [1.0]
    """
    pairs = id_booth_pairs(identities, reference_identities, seed=seed)
    genuine, impostor = pairs.scores(embeddings, reference)
    own = _places(identities)
    other = own if reference_identities is None else _places(reference_identities)
    both = np.stack([own[pairs.impostor[:, 0]], other[pairs.impostor[:, 1]]], axis=1)
    return PairScores(genuine, impostor, own[pairs.genuine[:, 0]], both)


def _places(identities: Sequence[object] | Array) -> Ints:
    """The place of each identity in the sorted list of them."""
    return np.asarray(np.unique([str(name) for name in identities], return_inverse=True)[1])


def id_booth_verification(genuine: Array, impostor: Array) -> Verification:
    """Verification with the operating points of pyeer and ID-Booth; all else as `verification`.

    FMR100, FMR1000 and ZeroFMR are the FNMR at the threshold whose FMR is *nearest* to 1 %, 0.1 % and 0: the
    FMR may lie above the target, which `verification` never allows. With too few impostor pairs for a target
    there still is a value; a note says what FMR it was taken at.

    Args:
        genuine: (n,) similarities of pairs of one identity, n >= 1, higher = more alike. Not distances.
        impostor: (m,) similarities of pairs of two identities, m >= 1.

    Raises:
        InputError: an empty list, NaN or infinity.

    Example:
        >>> id_booth_verification([0.9, 0.8, 0.4], [0.1, 0.2, 0.5]).fmr100 == 1 / 3
        True
    """
    curve = Curve.of(genuine, impostor)
    sides = [
        Spread(len(scores), float(np.mean(scores)), float(np.std(scores)))
        for scores in (np.asarray(genuine, dtype=np.float64), np.asarray(impostor, dtype=np.float64))
    ]
    return id_booth_summary(curve, *sides)


def id_booth_summary(curve: Curve, genuine: Spread, impostor: Spread) -> Verification:
    """What `id_booth_verification` answers, from a curve and the spread of the scores."""
    answer = summarise(curve, genuine, impostor)
    targets = {"fmr100": 0.01, "fmr1000": 0.001, "zero_fmr": 0.0}
    points = {
        name: curve.point(int(np.argmin(np.abs(curve.fmr - target)))) for name, target in targets.items()
    }
    notes = {name: text for name, text in answer.notes.items() if name not in targets}
    notes |= {
        name: f"taken at an FMR of {point.fmr:.2%}, the nearest to {targets[name]:.1%}"
        for name, point in points.items()
        if point.fmr > targets[name]
    }
    return replace(
        answer,
        notes=notes,
        fmr100=points["fmr100"].fnmr,
        fmr1000=points["fmr1000"].fnmr,
        zero_fmr=points["zero_fmr"].fnmr,
    )


def _cosines(left: Floats, right: Floats, pairs: Ints) -> Floats:
    step = 65536
    parts = [
        np.einsum("ij,ij->i", left[part[:, 0]], right[part[:, 1]])
        for part in (pairs[start : start + step] for start in range(0, len(pairs), step))
    ]
    return np.concatenate(parts) if parts else np.empty(0)


def id_booth_pairs(
    identities: Sequence[object] | Array,
    reference_identities: Sequence[object] | Array | None = None,
    *,
    seed: int = 0,
) -> PairList:
    """The pair lists of the ID-Booth release, reproduced draw for draw.

    Identities are taken in sorted order and shuffled. Genuine among one set: all pairs i < j of an identity.
    Genuine against a reference: image i of an identity with images j > i of the *same place* in the sorted
    list of reference identities; the released code keeps the loop bounds of the first case, so reference
    image 0 is never used. Impostor: an identity with those 1, 1 + s, 1 + 2s, ... places further (s = 18 among
    one set, 17 against a reference), up to 8 of its images drawn, and up to 8 drawn afresh of the other for
    each of them.

    Args:
        identities: (n,) identity of each row; rows of an identity in order of file name.
        reference_identities: (m,) the same of the real images; needs as many identities.
        seed: of both generators, 0 in the release.

    Raises:
        InputError: the two sets do not hold the same number of identities.

    Source:
        Tomašević et al. 2025, ID-Booth, its scripts that build genuine and impostor pairs.

    Example:
        >>> id_booth_pairs(["a", "b", "a"]).genuine.tolist()
        [[0, 2]]
    """
    own = _rows_by_identity(identities)
    other, stride = own, 18
    if reference_identities is not None:
        other, stride = _rows_by_identity(reference_identities), 17
    if len(own) != len(other):
        raise InputError(
            f"{len(own)} generated and {len(other)} reference identities: the released pairs take them "
            "one to one. Leave out identities that only one side has."
        )
    order = list(range(len(own)))
    random.Random(seed).shuffle(order)
    draw = np.random.RandomState(seed)  # the generator of the release
    genuine: list[tuple[int, int]] = []
    impostor: list[tuple[int, int]] = []
    for place, identity in enumerate(order):
        left, right = own[identity], other[identity]
        genuine += [(i, j) for at, i in enumerate(left) for j in right[at + 1 :]]
        for far in order[place + 1 :: stride]:
            for i in draw.choice(left, min(8, len(left)), replace=False):
                chosen = draw.choice(other[far], min(8, len(other[far])), replace=False)
                impostor += [(int(i), int(j)) for j in chosen]
    return PairList(_two_columns(genuine), _two_columns(impostor))


def _rows_by_identity(identities: Sequence[object] | Array) -> list[list[int]]:
    rows: dict[str, list[int]] = {}
    for row, name in enumerate(identities):
        rows.setdefault(str(name), []).append(row)
    return [rows[name] for name in sorted(rows)]


def _two_columns(pairs: list[tuple[int, int]]) -> Ints:
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)
