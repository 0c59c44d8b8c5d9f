"""Kernel distance (KID): the unbiased squared MMD with a cubic polynomial kernel.

KID = mean_{i≠j} k(g_i, g_j) + mean_{i≠j} k(r_i, r_j) - 2 mean k(g_i, r_j),   k(x, y) = (x · y / d + 1)³
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import overload

import numpy as np

from facebench.core.errors import InputError
from facebench.metrics.arrays import Array, Floats, two_matrices
from facebench.metrics.mmd import Kernel, unbiased


@dataclass(frozen=True)
class KernelDistance:
    """KID over random subsets.

    Attributes:
        mean: mean of the unbiased estimate over the subsets.
        std: population standard deviation over the subsets. Not a standard error: subsets overlap.
    """

    mean: float
    std: float


@overload
def kernel_distance(
    generated: Array, reference: Array, *, subsets: None = None, subset_size: int = 1000, seed: int = 0
) -> float: ...
@overload
def kernel_distance(
    generated: Array, reference: Array, *, subsets: int, subset_size: int = 1000, seed: int = 0
) -> KernelDistance: ...
def kernel_distance(
    generated: Array, reference: Array, *, subsets: int | None = None, subset_size: int = 1000, seed: int = 0
) -> float | KernelDistance:
    """Kernel distance (KID): unbiased squared MMD with the kernel (x·y / d + 1)³; lower is better.

    The estimate is unbiased, so it can be negative; it is negative for a set against itself. Without `subsets` it
    uses every sample (sizes may differ). With `subsets` it is the mean and the standard deviation over random
    subsets drawn without replacement, generated first.

    Args:
        generated: (n, d) features, n >= 2.
        reference: (m, d) features, m >= 2.
        subsets: number of subsets, or None for all samples at once.
        subset_size: rows of each side in a subset; at most min(n, m).
        seed: seed of the choice of subsets.

    Raises:
        InputError: fewer than two rows, different widths, NaN or infinity, subsets larger than a side.

    Source:
        Bińkowski et al. 2018 (arXiv:1801.01401), section 4.

    Example:
        >>> import numpy as np
        >>> x = np.random.default_rng(0).standard_normal((60, 5))
        >>> kernel_distance(x[:30], x[30:]) < kernel_distance(x[:30], x[30:] + 2)
        True
    """
    generated, reference = two_matrices(generated, reference, smallest=2)
    kernel = cubic(generated.shape[1])
    if subsets is None:
        return unbiased(generated, reference, kernel)
    if subsets < 1 or not 2 <= subset_size <= min(len(generated), len(reference)):
        raise InputError(
            f"{subsets} subsets of {subset_size} cannot be drawn from {len(generated)} generated and "
            f"{len(reference)} reference rows. Give a smaller subset_size, or subsets=None to use all rows."
        )
    rng = np.random.default_rng(seed)
    values = [
        unbiased(_subset(generated, subset_size, rng), _subset(reference, subset_size, rng), kernel)
        for _ in range(subsets)
    ]
    return KernelDistance(float(np.mean(values)), float(np.std(values)))


def cubic(d: int) -> Kernel:
    """The kernel (x·y / d + 1)³ of KID for d features."""

    def evaluate(x: Floats, y: Floats) -> Floats:
        tile = x @ y.T
        tile /= d
        tile += 1.0
        return np.asarray(tile * tile * tile)

    return evaluate


def _subset(features: Array, size: int, rng: np.random.Generator) -> Floats:
    return np.asarray(features[np.sort(rng.choice(len(features), size, replace=False))], dtype=np.float64)
