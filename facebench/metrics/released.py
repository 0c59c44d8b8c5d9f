"""The pair lists that ID-Booth published, reproduced for comparison with its tables."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from facebench.errors import InputError
from facebench.metrics.arrays import Array, Floats, Ints, matrix, unit_rows


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


def _cosines(left: Floats, right: Floats, pairs: Ints) -> Floats:
    step = 65536
    parts = [
        np.einsum("ij,ij->i", left[part[:, 0]], right[part[:, 1]])
        for part in (pairs[start : start + step] for start in range(0, len(pairs), step))
    ]
    return np.concatenate(parts) if parts else np.empty(0)


def released_pairs(
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
        >>> released_pairs(["a", "b", "a"]).genuine.tolist()
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
