"""Metrics that are functions of sums over rows, computed for many resamples at once.

A resample gives each row a weight. The metric of a resample follows from the weighted means of a few terms of each
row, so R resamples cost one product of an (R, n) matrix of weights with an (n, k) matrix of terms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from facebench.metrics.affect_agreement import affect_agreement
from facebench.metrics.arrays import Array, Floats, vector
from facebench.metrics.class_agreement import class_agreement, same_class
from facebench.metrics.interval import Metric, unwrap
from facebench.metrics.mean_std import mean_std
from facebench.metrics.paired import cosine_similarity, paired_similarity
from facebench.metrics.share_verified import is_verified, share_verified

_CONSTANT = 1e-12
"""Ratio of a variance to the mean square below which a side is constant in a resample."""


@dataclass(frozen=True)
class RowSums:
    """A metric as a function of weighted means of terms.

    Attributes:
        terms: (n, k) terms of each row.
        combine: from (r, k) weighted means to the fields of the metric, (r,) each.
        values: (n,) the numbers whose mean the field `mean` is; None where there is no such field.
    """

    terms: Floats
    combine: Callable[[Floats], dict[str, Floats]]
    values: Floats | None = None

    def of_weights(self, weights: Floats) -> dict[str, Floats]:
        """The metric under each row of (r, n) weights."""
        totals = weights.sum(axis=1, keepdims=True)
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.combine(weights @ self.terms / totals)


def row_sums(function: Metric, rows: list[Array]) -> RowSums | None:
    """The metric as a function of row sums; None where it is not one."""
    metric, parameters = unwrap(function)
    if metric in _PER_ROW:
        return _moments(_PER_ROW[metric](*rows, **parameters))
    if parameters:
        return None
    if metric is affect_agreement and all(array.ndim == 1 for array in rows):
        return _agreement(*rows)
    return None


_PER_ROW: Mapping[Metric, Callable[..., Floats]] = {
    mean_std: lambda values: np.asarray(vector(values, "values"), dtype=np.float64),
    paired_similarity: cosine_similarity,
    class_agreement: same_class,
    share_verified: is_verified,
}
"""Metrics that are the mean and deviation of one number per row."""


def _moments(values: Floats) -> RowSums:
    centre = float(values.mean())
    shifted = values - centre

    def combine(means: Floats) -> dict[str, Floats]:
        mean, square = means.T
        return {"mean": centre + mean, "std": np.sqrt(np.maximum(square - mean**2, 0.0))}

    return RowSums(np.column_stack([shifted, shifted**2]), combine, values)


def _agreement(target: Array, generated: Array) -> RowSums:
    t = np.asarray(vector(target, "target"), dtype=np.float64)
    g = np.asarray(vector(generated, "generated"), dtype=np.float64)
    centres = float(t.mean()), float(g.mean())
    x, y, difference = t - centres[0], g - centres[1], g - t
    terms = [x, y, x * x, y * y, x * y, np.abs(difference), difference**2, np.sign(t) == np.sign(g)]

    def combine(means: Floats) -> dict[str, Floats]:
        mx, my, xx, yy, xy, absolute, squared, same = means.T
        vx, vy = _variance(xx, mx), _variance(yy, my)
        covariance = np.where((vx == 0) | (vy == 0), 0.0, xy - mx * my)
        bias = centres[1] + my - centres[0] - mx
        return {
            "mae": absolute,
            "rmse": np.sqrt(squared),
            "pearson": np.clip(_ratio(covariance, np.sqrt(vx * vy)), -1.0, 1.0),
            "ccc": _ratio(2 * covariance, vx + vy + bias**2),
            "sagr": same,
            "mean_delta": bias,
        }

    return RowSums(np.column_stack(terms).astype(np.float64), combine)


def _variance(square: Floats, mean: Floats) -> Floats:
    variance = square - mean**2
    return np.where(variance <= _CONSTANT * np.maximum(square, 1e-300), 0.0, variance)


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    return np.divide(numerator, denominator, out=np.full_like(numerator, np.nan), where=denominator > 0)
