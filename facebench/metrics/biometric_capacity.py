"""Biometric capacity: an upper bound on the number of people that a generator can make and a recogniser can separate.

    C = max(1, A(θ + δ) / A(φ + δ)),   A(α) = share of the unit sphere within the angle α of a point
    θ = ½ acos(5 % quantile over faces of the smallest cosine with another face)
    δ = ½ acos(τ),   φ = ½ acos(τ_within)

θ is the half angle of all faces, φ that of the faces of one person, and δ half the angle at which two faces match.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.special

from facebench.core.errors import InputError
from facebench.metrics.arrays import Array, Floats, Ints, block_rows, matrix, unit_rows

QUANTILE = 0.05
"""Share of faces whose smallest cosine may lie below that of θ."""


def biometric_capacity(
    embeddings: Array,
    threshold: float,
    *,
    within: float | None = None,
    identities: Sequence[object] | Array | None = None,
    released: bool = False,
) -> float:
    """Upper bound on the number of separable people, at least 1 (infinite beyond 1e308); higher is more varied.

    Geometry: the area of a spherical cap in d dimensions is exact for every angle. The released code uses ½ + I in
    place of 2 - I beyond 90°, which gives smaller numbers there; `released` reproduces it.

    Args:
        embeddings: (n, d) faces of different people, n >= 2, d >= 2, any norm but 0.
        threshold: cosine τ from which two faces match; from impostor pairs of real faces at a stated rate.
        within: cosine τ_within that bounds the faces of one person; the threshold when None.
        identities: (n,) identity of each face, compared as strings. φ is then half the median over identities of the
            largest angle between two faces of one person, and `within` is not used.
        released: the area beyond 90° as in the released code.

    Raises:
        InputError: fewer than two rows or columns, a threshold outside (-1, 1), identities without two faces of one
            person, a row of zeros, NaN or infinity.

    Source:
        Boddeti et al. 2023 (arXiv:2308.02065), section 3.

    Example:
        >>> faces = np.random.default_rng(0).standard_normal((200, 64))
        >>> biometric_capacity(faces, 0.8) > biometric_capacity(faces, 0.5) > 100
        True
    """
    for name, cosine in (("threshold", threshold), ("within", threshold if within is None else within)):
        if not -1.0 < cosine < 1.0:
            raise InputError(f"{name} must be a cosine between -1 and 1, got {cosine:g}.")
    rows = unit_rows(matrix(embeddings, "embeddings", 2), "embeddings")
    if rows.shape[1] < 2:
        raise InputError("embeddings: 1 column, but a direction needs at least 2.")
    theta = _half_angle(np.quantile(smallest_cosines(rows), QUANTILE))
    delta = _half_angle(threshold)
    if identities is None:
        phi = _half_angle(threshold if within is None else within)
    else:
        phi = within_half_angle(rows, identities)
    logs = [_log_cap(angle + delta, rows.shape[1], released) for angle in (theta, phi)]
    with np.errstate(over="ignore"):
        return float(max(1.0, np.exp(logs[0] - logs[1])))


def smallest_cosines(rows: Floats) -> Floats:
    """Smallest cosine of each unit row with any row, (n,)."""
    step = block_rows(len(rows))
    parts = [(rows[start : start + step] @ rows.T).min(axis=1) for start in range(0, len(rows), step)]
    return np.concatenate(parts)


def within_half_angle(rows: Floats, identities: Sequence[object] | Array) -> float:
    """Half the median over identities of the largest angle between two unit rows of one identity, in radians.

    Raises:
        InputError: labels that do not match the rows, or no identity with two rows.
    """
    labels = np.array([str(name) for name in identities], dtype=np.str_)
    if len(labels) != len(rows):
        raise InputError(f"embeddings: {len(labels)} identities for {len(rows)} rows; give one per row.")
    codes: Ints = np.unique(labels, return_inverse=True)[1]
    people = [rows[codes == code] for code in range(codes.max() + 1)]
    widest = [float((faces @ faces.T).min()) for faces in people if len(faces) > 1]
    if not widest:
        raise InputError(
            "biometric capacity needs an identity with at least two faces. Give `within` instead."
        )
    return float(np.median([_half_angle(cosine) for cosine in widest]))


def _half_angle(cosine: float | np.floating) -> float:
    return float(np.arccos(np.clip(cosine, -1.0, 1.0)) / 2)


def _log_cap(angle: float, width: int, released: bool) -> float:
    """Logarithm of the area of a spherical cap in half spheres, for an angle of at most 180°."""
    a, x = (width - 1) / 2, float(np.sin(angle) ** 2)
    share = float(scipy.special.betainc(a, 0.5, x))
    if angle > np.pi / 2:
        return float(np.log(0.5 + share if released else 2.0 - share))
    if share > 1e-290:
        return float(np.log(share))
    # Logarithm of the same function by its hypergeometric series, where it underflows.
    tail = np.log(scipy.special.hyp2f1(a + 0.5, 1.0, a + 1.0, x))
    return float(a * np.log(x) + 0.5 * np.log1p(-x) - np.log(a) - scipy.special.betaln(a, 0.5) + tail)
