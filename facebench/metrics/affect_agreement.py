"""Agreement of valence and arousal between the target and the generated face.

    mae        = mean |g - t|
    rmse       = sqrt(mean (g - t)²)
    pearson    = cov(t, g) / (σ_t σ_g)
    ccc        = 2 cov(t, g) / (σ_t² + σ_g² + (μ_t - μ_g)²)
    sagr       = mean [sign t = sign g]
    mean_delta = mean (g - t)

t is the target, g the generated face; variances divide by n.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from facebench.core.errors import InputError
from facebench.metrics.arrays import Array, Floats, matrix


@dataclass(frozen=True)
class AffectAgreement:
    """Agreement per dimension: floats for (n,) inputs, (d,) arrays for (n, d) inputs.

    Attributes:
        mae: mean absolute error, in the unit of the input; lower is better.
        rmse: root mean squared error, same unit; lower is better.
        pearson: Pearson correlation in [-1, 1]; higher is better; NaN when one side is constant.
        ccc: concordance correlation in [-1, 1] (population variances); higher is better; NaN when both sides are
            the same constant.
        sagr: share of items whose sign agrees (0 agrees only with 0); higher is better.
        mean_delta: mean of generated - target, the signed bias; nearest 0 is better.
        n: number of pairs.
    """

    mae: float | Floats
    rmse: float | Floats
    pearson: float | Floats
    ccc: float | Floats
    sagr: float | Floats
    mean_delta: float | Floats
    n: int


def affect_agreement(target: Array, generated: Array) -> AffectAgreement:
    """Error, correlation and sign agreement of valence or arousal; see `AffectAgreement` for units.

    Args:
        target: (n,) one dimension or (n, d) several, usually in [-1, 1]: labels, or the answers of the same
            network on the target images.
        generated: the same shape, predicted from the generated faces.

    Returns:
        The agreement: floats for (n,), arrays of length d for (n, d).

    Raises:
        InputError: different shapes, empty, NaN or infinity.

    Source:
        Lin 1989, eq. 2 for CCC; Nicolaou et al. 2011 for SAGR; the set of numbers: Toisoul et al. 2021 (EmoNet),
        table 1.

    Example:
        >>> agreement = affect_agreement([-0.5, 0.0, 0.5], [-0.4, 0.1, 0.6])
        >>> round(agreement.mean_delta, 9), round(agreement.pearson, 9), agreement.sagr == 2 / 3
        (0.1, 1.0, True)
    """
    t, g = np.asarray(target), np.asarray(generated)
    if t.shape != g.shape or t.ndim not in (1, 2):
        raise InputError(f"target {t.shape} and generated {g.shape} must be equal, (n,) or (n, d).")
    one_dimension = t.ndim == 1
    x = np.asarray(matrix(t[:, None] if one_dimension else t, "target"), dtype=np.float64)
    y = np.asarray(matrix(g[:, None] if one_dimension else g, "generated"), dtype=np.float64)
    values = {
        "mae": np.abs(y - x).mean(axis=0),
        "rmse": np.sqrt(np.square(y - x).mean(axis=0)),
        **_correlations(x, y),
        "sagr": (np.sign(x) == np.sign(y)).mean(axis=0),
        "mean_delta": (y - x).mean(axis=0),
    }
    return AffectAgreement(**{k: float(v[0]) if one_dimension else v for k, v in values.items()}, n=len(x))


def _correlations(x: Floats, y: Floats) -> dict[str, Floats]:
    bias = y.mean(axis=0) - x.mean(axis=0)
    dx, dy = x - x.mean(axis=0), y - y.mean(axis=0)
    # A constant column is detected from its values: deviations from a rounded mean need not be exactly 0.
    vx = np.where(np.ptp(x, axis=0) == 0, 0.0, np.square(dx).mean(axis=0))
    vy = np.where(np.ptp(y, axis=0) == 0, 0.0, np.square(dy).mean(axis=0))
    covariance = np.where((vx == 0) | (vy == 0), 0.0, (dx * dy).mean(axis=0))
    return {
        "pearson": np.clip(_ratio(covariance, np.sqrt(vx) * np.sqrt(vy)), -1.0, 1.0),
        "ccc": _ratio(2.0 * covariance, vx + vy + bias**2),
    }


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    return np.divide(numerator, denominator, out=np.full_like(numerator, np.nan), where=denominator > 0)
