"""Verification as the released scripts of ID-Booth compute it, for comparison with its tables.

Two things differ from `verification`: the pairs are a sample (`id_booth_pairs`), and an operating point is the one
whose FMR is nearest to the target (`nearest_fmr`), as in pyeer.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from facebench.core.errors import InputError
from facebench.metrics.arrays import Array, Floats, Ints, matrix, unit_rows
from facebench.metrics.pairs import PairScores
from facebench.metrics.rates import Curve, OperatingPoint, Spread
from facebench.metrics.verification import Verification, summarise


@dataclass(frozen=True)
class PairList:
    """Sampled pairs: (row of the generated set, row of the reference or the same set), (p, 2) each."""

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
    """Scores of the pairs of `id_booth_pairs` and their identities, in the form of `pair_scores`.

    Against a reference the identities are those of the generated set, because the pairs match the two sorted lists of
    identities by position.

    Raises:
        InputError: as `id_booth_pairs`, or embeddings that do not match the identities.

    Example:
        >>> id_booth_scores([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]], ["a", "a", "b"]).genuine.tolist()
        [1.0]
    """
    pairs = id_booth_pairs(identities, reference_identities, seed=seed)
    genuine, impostor = pairs.scores(embeddings, reference)
    own = _positions(identities)
    other = own if reference_identities is None else _positions(reference_identities)
    both = np.stack([own[pairs.impostor[:, 0]], other[pairs.impostor[:, 1]]], axis=1)
    return PairScores(genuine, impostor, own[pairs.genuine[:, 0]], both)


def _positions(identities: Sequence[object] | Array) -> Ints:
    """Position of each row's identity in the sorted list of identities."""
    return np.asarray(np.unique([str(name) for name in identities], return_inverse=True)[1])


def id_booth_verification(genuine: Array, impostor: Array) -> Verification:
    """Verification with the operating points of pyeer and ID-Booth; everything else as in `verification`.

    FMR100, FMR1000 and ZeroFMR are the FNMR at the threshold whose FMR is *nearest* to 1 %, 0.1 % and 0. That FMR can
    exceed the target. With too few impostor pairs there still is a value, and a note states its FMR.

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
    """Compute the result of `id_booth_verification` from a curve and the spread of the scores."""
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


def nearest_fmr(genuine: Array, impostor: Array, target: float) -> OperatingPoint:
    """The operating point whose FMR is *nearest* to a target, the rule of pyeer and ID-Booth.

    The chosen FMR can exceed the target, mostly with few impostors; `verification` never exceeds it. Of two equally
    near thresholds the lower one counts.

    Args:
        genuine: (n,) similarities of pairs of one identity.
        impostor: (m,) similarities of pairs of two identities.
        target: FMR as a fraction, 0.01 for FMR100, 0 for ZeroFMR.

    Raises:
        InputError: an empty list, NaN or infinity, a target outside [0, 1].

    Example:
        >>> nearest_fmr([0.9, 0.8, 0.4], [0.1, 0.2, 0.5], 0.3).threshold
        0.4
    """
    if not 0.0 <= target <= 1.0:
        raise InputError(f"nearest_fmr: the target must be a fraction in [0, 1], got {target}.")
    curve = Curve.of(genuine, impostor)
    return curve.point(int(np.argmin(np.abs(curve.fmr - target))))


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
    """The pair lists of the ID-Booth release, with the same random draws.

    The sorted identities are shuffled. Genuine pairs within one set are all i < j of an identity. Against a reference
    they are image i of an identity and images j > i of the identity at the *same position* among the sorted reference
    identities: the release keeps the loop bounds of the first case, so it never uses reference image 0. Impostor
    pairs join an identity with those 1, 1 + s, 1 + 2s, ... positions further (s = 18 within one set, 17 against a
    reference): up to 8 of its images, and for each of them up to 8 newly drawn images of the other identity.

    Args:
        identities: (n,) identity of each row; rows of an identity in order of file name.
        reference_identities: (m,) the same of the real images; needs as many identities.
        seed: seed of both generators; the release uses 0.

    Raises:
        InputError: the two sets do not hold the same number of identities.

    Source:
        Tomašević et al. 2025, ID-Booth, the scripts that build genuine and impostor pairs.

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
            f"{len(own)} generated and {len(other)} reference identities: ID-Booth pairs match them one to one. "
            "Remove identities that only one side has."
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
