"""Fréchet distance between two Gaussians fitted to features, without a matrix square root.

    d² = |μ_g - μ_r|² + tr Σ_g + tr Σ_r - 2 tr (Σ_g Σ_r)^½          (Dowson and Landau 1982, eq. 16)

For any matrices F_g, F_r with FᵀF = Σ, the last trace is the nuclear norm (the sum of the singular values) of F_g F_rᵀ.
This also holds for singular covariances, so nothing is added to a diagonal:

* n <= d: F consists of the centred rows. The covariance is never formed, so its zero eigenvalues add no noise.
* n > d: F is the Cholesky factor of the streamed covariance. If that is close to singular, F is the triangular factor
  of a QR of the rows, which does not square the condition number.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg

from facebench.core.errors import InputError
from facebench.metrics.arrays import Array, Floats, Ints, blocks, matrix
from facebench.metrics.linalg import eigenvalues, in_threads
from facebench.metrics.moments import Moments

_SMALLEST_PIVOT = 1e-4
"""Ratio of Cholesky pivots below which the covariance is too close to singular for Cholesky."""
_TOLERANCE = 1e-10
"""Largest relative error of the trace of the root."""
_TOLERANCE_LEAVE_OUT = 1e-7
"""The same for jackknife replicates, of which only differences matter."""


@dataclass(frozen=True)
class Gaussian:
    """One side of the distance.

    Attributes:
        mean: (d,) mean.
        trace: trace of the covariance.
        factor: F (r, d) with FᵀF = covariance.
        triangular: whether F is upper triangular.
    """

    mean: Floats
    trace: float
    factor: Floats
    triangular: bool = False


def frechet_distance(generated: Array | Moments, reference: Array | Moments) -> float:
    """Squared Fréchet distance of Gaussians fitted to two feature sets, in squared units; lower is better.

    With Inception pool features it is FID. It is biased upwards for small sets, so compare only equal n. Covariances
    divide by n - 1. Nothing is regularised: the value is exact for n < d as well. A sum just below zero, from
    rounding, is returned as 0.

    Args:
        generated: (n, d) features of generated images, n >= 2, or their `Moments`.
        reference: (m, d) features of reference images, m >= 2, or their `Moments`. Use moments only for n > d: a
            singular covariance has lost digits that the rows still have (error about 1e-7 of the trace). Negative
            eigenvalues from rounding count as 0; `clipped_mass` returns their share.

    Returns:
        The distance, >= 0; 0 for identical sets (within 1e-8 of the trace).

    Raises:
        InputError: fewer than two rows, different widths, NaN or infinity.

    Source:
        Heusel et al. 2017 (arXiv:1706.08500), eq. 6, with Dowson and Landau 1982.

    Example:
        >>> import numpy as np
        >>> x = np.random.default_rng(0).standard_normal((50, 4))
        >>> round(frechet_distance(x + 3.0, x), 9)
        36.0
    """
    left, right = fit_gaussian(generated, "generated"), fit_gaussian(reference, "reference")
    if len(left.mean) != len(right.mean):
        raise InputError(
            f"generated has {len(left.mean)} features, reference has {len(right.mean)}. "
            "Both sides must come from the same backbone and array."
        )
    return distance_of_gaussians(left, right)


def distance_of_gaussians(left: Gaussian, right: Gaussian, tolerance: float = _TOLERANCE) -> float:
    """|μ_l - μ_r|² + tr Σ_l + tr Σ_r - 2 |F_l F_rᵀ|_*."""
    step = left.mean - right.mean
    root = nuclear_norm(_product(left, right), tolerance)
    return max(0.0, float(step @ step) + left.trace + right.trace - 2.0 * root)


def _product(left: Gaussian, right: Gaussian) -> Floats:
    """F_l F_rᵀ, at half the cost when both factors are triangular."""
    if left.triangular and right.triangular:
        return np.asarray(scipy.linalg.blas.dtrmm(1.0, right.factor, left.factor, side=1, trans_a=1))
    return np.asarray(left.factor @ right.factor.T)


def nuclear_norm(product: Floats, tolerance: float = _TOLERANCE) -> float:
    """Sum of the singular values of a matrix, with a relative error below `tolerance`.

    Eigenvalues of the Gram matrix are several times faster than singular values, but an error e in σ² becomes an error
    of e / 2σ, at most sqrt(e), in σ. They are used only when the sum of these errors is below the tolerance.
    """
    small = product if product.shape[0] <= product.shape[1] else product.T
    squares = np.maximum(eigenvalues(small @ small.T), 0.0)
    values = np.sqrt(squares)
    error = 8.0 * np.finfo(float).eps * squares[-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        errors = np.fmin(np.sqrt(error), 0.5 * error / values)
    if float(errors.sum()) <= tolerance * float(values.sum()):
        return float(values.sum())
    return float(np.linalg.svd(product, compute_uv=False).sum())


def fit_gaussian(side: Array | Moments, name: str) -> Gaussian:
    """Fit a Gaussian to rows or moments.

    Raises:
        InputError: fewer than two rows, NaN or infinity.
    """
    if isinstance(side, Moments):
        if side.n < 2:
            raise InputError(f"{name}: a covariance needs at least 2 rows, got {side.n}.")
        return _gaussian_of_moments(side)
    rows = matrix(side, name, smallest=2)
    return _gaussian_of_rows(rows, Moments.of(rows) if len(rows) > rows.shape[1] else None)


def _gaussian_of_rows(rows: Array, moments: Moments | None, kept: Ints | None = None) -> Gaussian:
    """Fit a Gaussian to the kept rows (all when None); `moments` are given when rows outnumber columns."""
    if moments is None:
        chosen = np.asarray(rows if kept is None else rows[kept], dtype=np.float64)
        mean = chosen.mean(axis=0)
        factor = _contrasts(chosen - mean) / np.sqrt(len(chosen) - 1)
        return Gaussian(mean, float(np.vdot(factor, factor)), factor)
    covariance = moments.covariance
    upper = _cholesky(covariance)
    if upper is None:
        upper = _triangle(rows if kept is None else rows[kept], moments.mean) / np.sqrt(moments.n - 1)
    return Gaussian(moments.mean, float(np.trace(covariance)), upper, triangular=True)


def _gaussian_of_moments(moments: Moments) -> Gaussian:
    covariance = moments.covariance
    trace = float(np.trace(covariance))
    upper = _cholesky(covariance)
    if upper is not None:
        return Gaussian(moments.mean, trace, upper, triangular=True)
    values, vectors = np.linalg.eigh(covariance)
    return Gaussian(moments.mean, trace, np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T)


def _contrasts(centred: Floats) -> Floats:
    """Rotate n centred rows into n - 1 rows with the same FᵀF.

    The Householder reflection that maps the vector of ones to the first axis makes one row 0, which is dropped.
    """
    n = len(centred)
    first = centred[0] / (np.sqrt(n) - 1.0)
    return np.asarray(centred[1:] + first)


def _cholesky(covariance: Floats) -> Floats | None:
    """Upper triangular U with UᵀU = covariance; None when the covariance is singular or nearly so."""
    upper, failed = scipy.linalg.lapack.dpotrf(covariance, lower=0, clean=1)
    pivots = np.diag(upper)
    if failed or pivots.min() < _SMALLEST_PIVOT * pivots.max():
        return None
    return np.asarray(upper)


def _triangle(rows: Array, mean: Floats) -> Floats:
    """Triangular factor of the centred rows, computed block by block in memory of a few d x d matrices."""
    upper = np.zeros((0, rows.shape[1]))
    for block in blocks(rows, 2 * rows.shape[1]):
        upper = np.asarray(np.linalg.qr(np.concatenate([upper, block - mean]), mode="r"))
    return upper


def frechet_leave_out(
    generated: Array, reference: Array, labels: tuple[Ints, Ints], groups: int
) -> list[float]:
    """Fréchet distance without each group of rows in turn, for the jackknife.

    Args:
        generated: (n, d) features.
        reference: (m, d) features.
        labels: group of every generated and of every reference row, in [0, groups).
        groups: how many groups.
    """
    sides = [_LeaveOut.of(generated, labels[0]), _LeaveOut.of(reference, labels[1])]

    def distance(group: int) -> float:
        return distance_of_gaussians(sides[0].without(group), sides[1].without(group), _TOLERANCE_LEAVE_OUT)

    return in_threads(distance, groups)


def frechet_leave_out_one_side(
    generated: Array, reference: Moments, labels: Ints, groups: int
) -> list[float]:
    """Fréchet distance without each group of generated rows in turn; the reference is fixed.

    Args:
        generated: (n, d) features.
        reference: moments of the reference.
        labels: group of every generated row, in [0, groups).
        groups: how many groups.
    """
    side, fixed = _LeaveOut.of(generated, labels), fit_gaussian(reference, "reference")

    def distance(group: int) -> float:
        return distance_of_gaussians(side.without(group), fixed, _TOLERANCE_LEAVE_OUT)

    return in_threads(distance, groups)


@dataclass(frozen=True)
class _LeaveOut:
    """One side of the distance, prepared for fits without one group of its rows."""

    rows: Array
    labels: Ints
    total: Moments | None
    """Moments of all rows; None when rows do not outnumber columns without the largest group."""

    @classmethod
    def of(cls, rows: Array, labels: Ints) -> _LeaveOut:
        fewest = len(rows) - int(np.bincount(labels).max())
        return cls(rows, labels, Moments.of(rows) if fewest > rows.shape[1] else None)

    def without(self, group: int) -> Gaussian:
        kept = np.flatnonzero(self.labels != group)
        if self.total is None:
            return _gaussian_of_rows(self.rows, None, kept)
        # Subtracting a group from the total is cheaper than summing the rest.
        moments = self.total.without(Moments.of(self.rows[self.labels == group]))
        return _gaussian_of_rows(self.rows, moments, kept)
