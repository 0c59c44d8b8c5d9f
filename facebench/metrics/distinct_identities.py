"""Distinct identities: how many people a set of faces shows, and how many faces repeat another one.

distinct        = number of faces that are kept; face i is kept if cos(i, j) < τ for all faces j kept before
duplicate_share = |{i : cos(i, j) >= τ for some j ≠ i}| / n
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from facebench.core.errors import InputError
from facebench.metrics.arrays import Array, block_rows, matrix, unit_rows


@dataclass(frozen=True)
class DistinctIdentities:
    """Number of people in a set of faces, and how often they repeat.

    Attributes:
        distinct: number of people, in 1 ... n; higher is more varied. It depends on the order of the rows.
        distinct_share: `distinct` / n, in (0, 1].
        duplicate_share: share of faces with at least one match, in [0, 1]; lower is more varied. It grows with n.
        pair_share: share of pairs that match, in [0, 1]; it does not depend on n.
        n: number of faces.
    """

    distinct: int
    distinct_share: float
    duplicate_share: float
    pair_share: float
    n: int


def distinct_identities(embeddings: Array, threshold: float) -> DistinctIdentities:
    """Number of distinct people in a set, and the share of faces that repeat a person; see `DistinctIdentities`.

    Two faces match when their cosine reaches the threshold. Take the threshold from impostor pairs of real faces, such
    as the one with a false match rate of 0.1 %. Each false match joins two people, so with n faces about
    FMR · n² / 2 matches are false.

    Args:
        embeddings: (n, d), n >= 2, any norm but 0.
        threshold: cosine from which two faces show one person, in [-1, 1].

    Raises:
        InputError: fewer than two rows, a threshold outside [-1, 1], a row of zeros, NaN or infinity.

    Source:
        Greedy count as in DCFace (Kim et al. 2023, arXiv:2304.07060), uniqueness.

    Example:
        >>> result = distinct_identities([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0]], 0.5)
        >>> result.distinct, round(result.duplicate_share, 3)
        (2, 0.667)
    """
    if not -1.0 <= threshold <= 1.0:
        raise InputError(f"threshold must be a cosine between -1 and 1, got {threshold:g}.")
    rows = unit_rows(matrix(embeddings, "embeddings", 2), "embeddings")
    n, step = len(rows), block_rows(len(rows))
    matches = np.empty(n, dtype=np.int64)
    kept = np.ones(n, dtype=np.bool_)
    for start in range(0, n, step):
        block = rows[start : start + step] @ rows.T >= threshold
        block[np.arange(len(block)), np.arange(start, start + len(block))] = False
        matches[start : start + step] = block.sum(axis=1)
        for row, match in enumerate(block, start):
            kept[row] = not (match[:row] & kept[:row]).any()
    distinct = int(kept.sum())
    pairs = n * (n - 1)
    return DistinctIdentities(
        distinct, distinct / n, float((matches > 0).mean()), float(matches.sum() / pairs), n
    )
