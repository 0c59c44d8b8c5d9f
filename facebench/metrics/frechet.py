"""Fréchet distance between two Gaussians fitted to features, without a matrix square root.

    d² = |μ_g - μ_r|² + tr Σ_g + tr Σ_r - 2 tr (Σ_g Σ_r)^½          (Dowson and Landau 1982, eq. 16)

With F_g, F_r any matrices such that FᵀF = Σ, the last trace is the nuclear norm (the sum of the singular
values) of F_g F_rᵀ. That holds for singular covariances too, so nothing is ever added to a diagonal:

* n <= d: F is made of the rows themselves, so the covariance is never formed and its zero eigenvalues
  never come back as noise.
* n > d: F is the Cholesky factor of the streamed covariance or, where that one is close to singular,
  the triangular factor of a QR of the rows, which does not square the condition.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg

from facebench.core.errors import InputError
from facebench.metrics.arrays import Array, Floats, Ints, blocks, matrix
from facebench.metrics.linalg import in_threads
from facebench.metrics.moments import Moments

_SMALLEST_PIVOT = 1e-4
"""Ratio of Cholesky pivots under which the covariance is too close to singular to be factored as it is."""
_TOLERANCE = 1e-10
"""Largest relative error of the trace of the root."""
_TOLERANCE_LEAVE_OUT = 1e-7
"""The same where only differences between replicates matter."""


@dataclass(frozen=True)
class _Gaussian:
    """One side of the distance: mean, trace of the covariance, and F (r, d) with FᵀF = covariance."""

    mean: Floats
    trace: float
    factor: Floats


def frechet_distance(generated: Array | Moments, reference: Array | Moments) -> float:
    """Squared Fréchet distance of Gaussians fitted to two feature sets, in squared units; lower is better.

    The number that FID reports when the features are Inception pool features. It is biased upwards for
    small sets, so compare only equal n. Covariances divide by n - 1. Nothing is regularised: the value is
    exact for n < d as well. Rounding may leave a sum a hair below zero, which is returned as 0.

    Args:
        generated: (n, d) features of generated images, n >= 2, or their `Moments`.
        reference: (m, d) features of reference images, m >= 2, or their `Moments`. Hand over moments only for
            n > d: a singular covariance has already lost digits that the rows still have (error about 1e-7 of
            the trace; negative eigenvalues made by rounding count as 0, and `clipped_mass` says how much).

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
    left, right = _gaussian(generated, "generated"), _gaussian(reference, "reference")
    if len(left.mean) != len(right.mean):
        raise InputError(
            f"generated has {len(left.mean)} features, reference has {len(right.mean)}. "
            "Both sides must come from the same backbone and array."
        )
    return _distance(left, right)


def _distance(left: _Gaussian, right: _Gaussian, tolerance: float = _TOLERANCE) -> float:
    step = left.mean - right.mean
    root = nuclear_norm(left.factor @ right.factor.T, tolerance)
    return max(0.0, float(step @ step) + left.trace + right.trace - 2.0 * root)


def nuclear_norm(product: Floats, tolerance: float = _TOLERANCE) -> float:
    """Sum of the singular values of a matrix, with a relative error below `tolerance`.

    Eigenvalues of the Gram matrix are several times faster than singular values, but an error e in σ² is one
    of e / 2σ, or at most sqrt(e), in σ. They are used only where the sum of those errors is negligible.
    """
    small = product if product.shape[0] <= product.shape[1] else product.T
    squares = np.maximum(np.linalg.eigvalsh(small @ small.T), 0.0)
    values = np.sqrt(squares)
    error = 8.0 * np.finfo(float).eps * squares[-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        errors = np.fmin(np.sqrt(error), 0.5 * error / values)
    if float(errors.sum()) <= tolerance * float(values.sum()):
        return float(values.sum())
    return float(np.linalg.svd(product, compute_uv=False).sum())


def _gaussian(side: Array | Moments, name: str) -> _Gaussian:
    if isinstance(side, Moments):
        if side.n < 2:
            raise InputError(f"{name}: a covariance needs at least 2 rows, got {side.n}.")
        return _gaussian_of_moments(side)
    rows = matrix(side, name, smallest=2)
    return _gaussian_of_rows(rows, Moments.of(rows) if len(rows) > rows.shape[1] else None)


def _gaussian_of_rows(rows: Array, moments: Moments | None, kept: Ints | None = None) -> _Gaussian:
    """The Gaussian of some rows, all when `kept` is None; their moments are given when rows outnumber columns."""
    if moments is None:
        chosen = np.asarray(rows if kept is None else rows[kept], dtype=np.float64)
        mean = chosen.mean(axis=0)
        factor = _contrasts(chosen - mean) / np.sqrt(len(chosen) - 1)
        return _Gaussian(mean, float(np.vdot(factor, factor)), factor)
    covariance = moments.covariance
    upper = _cholesky(covariance)
    if upper is None:
        upper = _triangle(rows if kept is None else rows[kept], moments.mean) / np.sqrt(moments.n - 1)
    return _Gaussian(moments.mean, float(np.trace(covariance)), upper)


def _gaussian_of_moments(moments: Moments) -> _Gaussian:
    covariance = moments.covariance
    factor = _cholesky(covariance)
    if factor is None:
        values, vectors = np.linalg.eigh(covariance)
        factor = np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T
    return _Gaussian(moments.mean, float(np.trace(covariance)), factor)


def _contrasts(centred: Floats) -> Floats:
    """Rotate n centred rows so that one of them, being 0, can be left out: n - 1 rows with the same FᵀF.

    The rotation is the Householder reflection that takes the vector of ones to the first axis.
    """
    n = len(centred)
    first = centred[0] / (np.sqrt(n) - 1.0)
    return np.asarray(centred[1:] + first)


def _cholesky(covariance: Floats) -> Floats | None:
    """Upper triangular U with UᵀU = covariance, or None when that is singular or close to it."""
    upper, failed = scipy.linalg.lapack.dpotrf(covariance, lower=0, clean=1)
    pivots = np.diag(upper)
    if failed or pivots.min() < _SMALLEST_PIVOT * pivots.max():
        return None
    return np.asarray(upper)


def _triangle(rows: Array, mean: Floats) -> Floats:
    """Triangular factor of the centred rows, taken block by block so that memory stays at a few d x d."""
    upper = np.zeros((0, rows.shape[1]))
    for block in blocks(rows, 2 * rows.shape[1]):
        upper = np.asarray(np.linalg.qr(np.concatenate([upper, block - mean]), mode="r"))
    return upper


def frechet_leave_out(
    generated: Array, reference: Array, labels: tuple[Ints, Ints], groups: int
) -> list[float]:
    """The distance without each group of rows in turn, for the jackknife.

    Args:
        generated: (n, d) features.
        reference: (m, d) features.
        labels: group of every generated and of every reference row, in [0, groups).
        groups: how many groups.
    """
    sides = [_LeaveOut.of(generated, labels[0]), _LeaveOut.of(reference, labels[1])]

    def distance(group: int) -> float:
        return _distance(sides[0].without(group), sides[1].without(group), _TOLERANCE_LEAVE_OUT)

    return in_threads(distance, groups)


@dataclass(frozen=True)
class _LeaveOut:
    """One side of the distance, ready to be fitted without any one group of its rows."""

    rows: Array
    labels: Ints
    total: Moments | None
    """Moments of all rows, when rows outnumber columns whichever group is missing."""

    @classmethod
    def of(cls, rows: Array, labels: Ints) -> _LeaveOut:
        fewest = len(rows) - int(np.bincount(labels).max())
        return cls(rows, labels, Moments.of(rows) if fewest > rows.shape[1] else None)

    def without(self, group: int) -> _Gaussian:
        kept = np.flatnonzero(self.labels != group)
        if self.total is None:
            return _gaussian_of_rows(self.rows, None, kept)
        # Taken out of the total instead of summed again: a group is a small part of the rows.
        moments = self.total.without(Moments.of(self.rows[self.labels == group]))
        return _gaussian_of_rows(self.rows, moments, kept)


@dataclass(frozen=True)
class FrechetInfinity:
    """Fréchet distance extrapolated to infinitely many generated images.

    Attributes:
        value: intercept of the line fitted to the distance over 1/n; squared feature units, lower is better.
        slope: its slope, the strength of the bias: at n images the line lies slope / n above `value`.
        sizes: (parts,) generated images in a subset: n, n/2, n/3 ...
        distances: (parts,) mean distance of the subsets of that size.
    """

    value: float
    slope: float
    sizes: Floats
    distances: Floats


def frechet_infinity(
    generated: Array, reference: Array | Moments, *, parts: int = 5, seed: int = 0
) -> FrechetInfinity:
    """Fréchet distance extrapolated to n = ∞ (FID∞), in squared feature units; lower is better.

    The generated images are shuffled and cut into s equal parts for s = 1, 2 ... `parts`; the mean distance of
    the parts is fitted by a straight line in 1/n, whose intercept is free of the first order of the bias that
    few *generated* images cause. The reference is used whole, so the bias of a small reference stays. Where
    the parts have fewer images than features the curve bends and the value is a rough one. It may be negative
    for sets that are alike.

    Args:
        generated: (n, d) features, n >= 4 parts.
        reference: (m, d) features, m >= 2, or their `Moments`.
        parts: most parts, >= 2.
        seed: of the shuffle.

    Raises:
        InputError: too few rows or parts, different widths, NaN or infinity.

    Source:
        Chong and Forsyth 2020 (arXiv:1911.07023), with disjoint subsets, which use every image at every size,
        in place of Sobol' sequences.

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> x, y = rng.standard_normal((400, 8)), rng.standard_normal((4000, 8))
        >>> frechet_infinity(x, y).value < frechet_distance(x, y)
        True
    """
    if parts < 2:
        raise InputError(f"frechet_infinity needs 2 parts or more, got {parts}.")
    generated = matrix(generated, "generated", smallest=4 * parts)
    right = _gaussian(reference, "reference")
    if len(right.mean) != generated.shape[1]:
        raise InputError(f"generated has {generated.shape[1]} features, reference has {len(right.mean)}.")
    order = np.random.default_rng(seed).permutation(len(generated))
    counts = np.arange(1, parts + 1)
    distances = np.array([_mean_distance(generated, right, np.array_split(order, s)) for s in counts])
    sizes = len(generated) / counts
    slope, value = np.polyfit(1.0 / sizes, distances, 1)
    return FrechetInfinity(float(value), float(slope), sizes, distances)


def _mean_distance(generated: Array, right: _Gaussian, parts: list[Ints]) -> float:
    # All rows are taken as they are: picking them by index would copy them.
    chosen = [generated] if len(parts) == 1 else (generated[np.sort(rows)] for rows in parts)
    return float(np.mean([_distance(_gaussian(rows, "generated"), right) for rows in chosen]))
