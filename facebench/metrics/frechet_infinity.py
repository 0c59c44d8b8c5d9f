"""Fréchet distance extrapolated to infinitely many images (FID∞)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from facebench.core.errors import InputError
from facebench.metrics.arrays import Array, Floats, Ints, matrix
from facebench.metrics.frechet import Gaussian, distance_of_gaussians, fit_gaussian
from facebench.metrics.moments import Moments


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
        >>> from facebench.metrics import frechet_distance
        >>> rng = np.random.default_rng(0)
        >>> x, y = rng.standard_normal((400, 8)), rng.standard_normal((4000, 8))
        >>> frechet_infinity(x, y).value < frechet_distance(x, y)
        True
    """
    if parts < 2:
        raise InputError(f"frechet_infinity needs 2 parts or more, got {parts}.")
    generated = matrix(generated, "generated", smallest=4 * parts)
    right = fit_gaussian(reference, "reference")
    if len(right.mean) != generated.shape[1]:
        raise InputError(f"generated has {generated.shape[1]} features, reference has {len(right.mean)}.")
    order = np.random.default_rng(seed).permutation(len(generated))
    counts = np.arange(1, parts + 1)
    distances = np.array([_mean_distance(generated, right, np.array_split(order, s)) for s in counts])
    sizes = len(generated) / counts
    slope, value = np.polyfit(1.0 / sizes, distances, 1)
    return FrechetInfinity(float(value), float(slope), sizes, distances)


def _mean_distance(generated: Array, right: Gaussian, parts: list[Ints]) -> float:
    # All rows are taken as they are: picking them by index would copy them.
    chosen = [generated] if len(parts) == 1 else (generated[np.sort(rows)] for rows in parts)
    return float(np.mean([distance_of_gaussians(fit_gaussian(rows, "generated"), right) for rows in chosen]))
