"""Count, mean and scatter of rows, streamed in blocks and merged exactly across shards."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from facebench.core.errors import InputError
from facebench.metrics.arrays import Array, Floats, blocks, matrix


@dataclass(frozen=True)
class Moments:
    """Count, mean and scatter of rows: the sufficient statistics of a mean and covariance.

    Attributes:
        n: number of rows.
        mean: (d,) float64.
        scatter: (d, d) float64, the sum of (x - mean)(x - mean)ᵀ.

    Example:
        >>> import numpy as np
        >>> rows = np.arange(12.0).reshape(6, 2)
        >>> whole = Moments.of(rows[:2]).merge(Moments.of(rows[2:]))
        >>> bool(np.allclose(whole.covariance, np.cov(rows, rowvar=False)))
        True
    """

    n: int
    mean: Floats
    scatter: Floats

    @classmethod
    def empty(cls, d: int) -> Moments:
        """Moments of zero rows, the neutral element of `merge`."""
        return cls(0, np.zeros(d), np.zeros((d, d)))

    @classmethod
    def of(cls, features: Array) -> Moments:
        """Compute the moments of a feature matrix (n, d), read in blocks.

        Raises:
            InputError: not a finite matrix with at least one row.
        """
        features = matrix(features, "features")
        result = cls.empty(features.shape[1])
        for block in blocks(features, max(4096, features.shape[1])):
            mean = block.mean(axis=0)
            centred = block - mean
            result = result.merge(cls(len(block), mean, centred.T @ centred))
        return result

    def merge(self, other: Moments) -> Moments:
        """Moments of the rows of both (Chan, Golub and LeVeque 1979)."""
        if self.n == 0 or other.n == 0:
            return other if self.n == 0 else self
        n = self.n + other.n
        step = other.mean - self.mean
        scatter = self.scatter + other.scatter
        scatter += np.outer(step, step * (self.n * other.n / n))
        return Moments(n, self.mean + step * (other.n / n), scatter)

    def without(self, other: Moments) -> Moments:
        """Moments of the remaining rows after removing those of `other`, which must be part of these."""
        n = self.n - other.n
        if n < 1:
            raise InputError("no rows remain after removing these moments.")
        mean = self.mean + (self.mean - other.mean) * (other.n / n)
        step = other.mean - mean
        scatter = self.scatter - other.scatter
        scatter -= np.outer(step, step * (n * other.n / self.n))
        return Moments(n, mean, scatter)

    @property
    def covariance(self) -> Floats:
        """(d, d) covariance, divided by n - 1."""
        return np.asarray(self.scatter / (self.n - 1))


def clipped_mass(moments: Moments) -> float:
    """Share of the trace in negative eigenvalues, which come from rounding only; 0 is best.

    `frechet_distance` of moments sets them to 0. For features given as rows nothing is clipped.
    """
    values = np.linalg.eigvalsh(moments.covariance)
    return float(-values[values < 0].sum() / max(np.abs(values).sum(), np.finfo(float).tiny))
