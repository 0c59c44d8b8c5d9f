"""Retrieval: whether the most similar gallery images show the person of the query.

    rank k = |{q : an image of the person of q is among the k most similar}| / n
    map    = mean_q AP(q),   AP(q) = Σ_k P_k(q) · [the k-th image shows the person] / (number of images of the person)

P_k(q) is the share of images of the person among the k most similar. Similarity is the cosine of two embeddings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from facebench.core.errors import InputError
from facebench.metrics.arrays import Array, Floats, block_rows, matrix, unit_rows

Labels = Sequence[object] | Array


FIELDS = ("rank1", "rank5", "rank10", "map", "mean_cosine")


@dataclass(frozen=True)
class Retrieval:
    """Rates in [0, 1]; higher is better.

    Attributes:
        rank1: share of queries whose most similar gallery image shows the same person.
        rank5: share of queries with the person among the five most similar images.
        rank10: the same for ten images.
        map: mean average precision.
        mean_cosine: mean over queries of the mean cosine with gallery images of the same person; NaN when the gallery
            holds none of the query identities.
        n: number of queries.
    """

    rank1: float
    rank5: float
    rank10: float
    map: float
    mean_cosine: float
    n: int


def retrieval(
    query: Array, gallery: Array, query_identities: Labels, gallery_identities: Labels
) -> Retrieval:
    """Rank-k rates and mean average precision of retrieval by cosine; higher is better.

    A query whose person is absent from the gallery counts as 0, except in `mean_cosine`. Of equal cosines the first
    gallery image counts. Chance depends on the size of the gallery and on the images of each person.

    Args:
        query: (n, d) embeddings of generated images.
        gallery: (m, d) embeddings of real images.
        query_identities: (n,) identity of each query, compared as strings.
        gallery_identities: (m,) identity of each gallery image.

    Raises:
        InputError: empty, different widths, labels that do not match the rows, a row of zeros, NaN or infinity.

    Source:
        Finer-Personalization Rank (arXiv:2512.19026); average precision as in Manning et al. 2008, section 8.4.

    Example:
        >>> result = retrieval([[1.0, 0.1]], [[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], ["a"], ["b", "a", "a"])
        >>> result.rank1, result.map
        (1.0, 1.0)
    """
    terms = retrieval_terms(query, gallery, query_identities, gallery_identities)
    return retrieval_rates(np.stack([terms[name] for name in FIELDS], axis=1))


def retrieval_rates(terms: Array) -> Retrieval:
    """Mean of the numbers of single queries.

    Args:
        terms: (n, 5) numbers of every query, in the order of the fields of `Retrieval`; the cosine may be NaN.

    Raises:
        InputError: not (n, 5), or empty.

    Example:
        >>> retrieval_rates([[1.0, 1.0, 1.0, 1.0, 0.5], [0.0, 1.0, 1.0, 0.5, np.nan]]).map
        0.75
    """
    rows = np.asarray(terms, dtype=np.float64)
    if rows.ndim != 2 or rows.shape[1] != len(FIELDS) or len(rows) == 0:
        raise InputError(f"terms: expected (n, {len(FIELDS)}) numbers of queries, got shape {rows.shape}.")
    known = rows[~np.isnan(rows[:, -1]), -1]
    rank1, rank5, rank10, precision = (float(number) for number in rows[:, :-1].mean(axis=0))
    cosine = float(known.mean()) if len(known) else float("nan")
    return Retrieval(rank1, rank5, rank10, precision, cosine, len(rows))


def retrieval_terms(
    query: Array, gallery: Array, query_identities: Labels, gallery_identities: Labels
) -> dict[str, Floats]:
    """One number per query for each field of `Retrieval`, whose mean over queries is the field."""
    left, right = unit_rows(matrix(query, "query"), "query"), unit_rows(matrix(gallery, "gallery"), "gallery")
    if left.shape[1] != right.shape[1]:
        raise InputError(f"query has {left.shape[1]} features, gallery has {right.shape[1]}.")
    asked, known = _labels(query_identities, left, "query"), _labels(gallery_identities, right, "gallery")
    step = block_rows(len(right))
    parts = [
        _of_block(left[start : start + step] @ right.T, asked[start : start + step, None] == known)
        for start in range(0, len(left), step)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _of_block(scores: Floats, same: Array) -> dict[str, Floats]:
    """Numbers of some queries, from their cosines with the gallery and a mask of the same identity."""
    relevant = same.sum(axis=1)
    ranked = np.take_along_axis(same, np.argsort(1.0 - scores, axis=1, kind="stable"), axis=1)
    precision = np.cumsum(ranked, axis=1) / np.arange(1, ranked.shape[1] + 1)
    divisor = np.maximum(relevant, 1)
    cosines = np.where(same, scores, 0.0).sum(axis=1) / divisor
    ranks = {f"rank{k}": ranked[:, :k].any(axis=1).astype(np.float64) for k in (1, 5, 10)}
    return {
        **ranks,
        "map": np.where(ranked, precision, 0.0).sum(axis=1) / divisor,
        "mean_cosine": np.where(relevant > 0, cosines, np.nan),
    }


def _labels(identities: Labels, rows: Array, name: str) -> Array:
    labels = np.array([str(identity) for identity in identities], dtype=np.str_)
    if len(labels) != len(rows):
        raise InputError(f"{name}: {len(labels)} identities for {len(rows)} rows; give one per row.")
    return labels
