"""Vendi score: the effective number of different samples in one set.

vendi = exp(-Σ λ_i log λ_i),   λ the eigenvalues of S / n,   S_ij = x_i · x_j / (|x_i| |x_j|)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from facebench.core.errors import InputError
from facebench.metrics.arrays import Array, Floats, Ints, blocks, matrix, unit_rows
from facebench.metrics.linalg import in_threads
from facebench.metrics.mean_std import MeanStd, mean_std


def vendi_score(features: Array, *, q: float = 1.0) -> float:
    """Effective number of different samples, in [1, n]; higher is more diverse.

    The exponential of the (Rényi) entropy of the eigenvalues of S / n, where S holds the cosine similarities of the
    rows. For n > d the d x d Gram matrix, which has the same non-zero eigenvalues, is streamed instead.

    Args:
        features: (n, d), n >= 1; rows are normalised to unit length.
        q: order of the entropy; 1 (Shannon) is the published one; q > 0, infinity allowed.

    Raises:
        InputError: empty, NaN or infinity, a row of zeros, q not positive.

    Source:
        Friedman and Dieng 2023 (arXiv:2210.02410), definition 3.1; other orders: Pasarkar and Dieng 2024.

    Example:
        >>> import numpy as np
        >>> round(vendi_score(np.eye(5)), 9), round(vendi_score(np.ones((5, 3))), 9)
        (5.0, 1.0)
    """
    features = matrix(features, "features")
    if not q > 0:
        raise InputError(f"vendi_score: q must be positive, got {q}.")
    return _score(np.linalg.eigvalsh(_gram(features)) / len(features), q)


def vendi_per_class(features: Array, classes: Sequence[object] | Array, *, q: float = 1.0) -> MeanStd:
    """Vendi score within each class: mean and population standard deviation; higher is more diverse.

    Args:
        features: (n, d) as in `vendi_score`.
        classes: (n,) class of each row, such as its identity.
        q: order of the entropy.

    Raises:
        InputError: as `vendi_score`, or labels that do not match the rows.

    Example:
        >>> import numpy as np
        >>> round(vendi_per_class(np.eye(4), ["a", "a", "a", "b"]).mean, 9)
        2.0
    """
    features = matrix(features, "features")
    if len(classes) != len(features):
        raise InputError(f"{len(classes)} classes for {len(features)} rows: give one per row.")
    _, codes = np.unique(np.asarray(classes), return_inverse=True)
    return mean_std(np.array([vendi_score(features[codes == c], q=q) for c in range(int(codes.max()) + 1)]))


def vendi_leave_out(features: Array, labels: Ints, groups: int, q: float = 1.0) -> list[float]:
    """Vendi score without each group of rows in turn, for the jackknife, from one Gram matrix.

    Args:
        features: (n, d) as in `vendi_score`.
        labels: (n,) group of every row, in [0, groups).
        groups: how many groups.
        q: order of the entropy.
    """
    gram = _gram(features)

    def score(group: int) -> float:
        kept = np.flatnonzero(labels != group)
        if len(features) <= features.shape[1]:
            rest = gram[np.ix_(kept, kept)]
        else:
            rows = unit_rows(features[labels == group], "features")
            rest = gram - rows.T @ rows
        return _score(np.linalg.eigvalsh(rest) / len(kept), q)

    return in_threads(score, groups)


def _gram(features: Array) -> Floats:
    n, d = features.shape
    if n <= d:
        rows = unit_rows(features, "features")
        return np.asarray(rows @ rows.T)
    gram = np.zeros((d, d))
    for block in blocks(features):
        rows = unit_rows(block, "features")
        gram += rows.T @ rows
    return gram


def _score(values: Floats, q: float) -> float:
    positive = values[values > 0]
    if q == 1.0:
        entropy = -(positive * np.log(positive)).sum()
    elif np.isinf(q):
        entropy = -np.log(positive.max())
    else:
        entropy = np.log((positive**q).sum()) / (1.0 - q)
    return float(np.exp(entropy))
