"""Squared MMD with a Gaussian kernel: CMMD when the rows are CLIP embeddings.

MMD² = scale · (mean k(g_i, g_j) + mean k(r_i, r_j) - 2 mean k(g_i, r_j)),   k(x, y) = exp(-|x - y|² / 2σ²)
"""

from __future__ import annotations

import numpy as np

from facebench.core.errors import InputError
from facebench.metrics.arrays import Array, Floats, two_matrices
from facebench.metrics.mmd import TILE, Kernel, unbiased
from facebench.metrics.mmd import biased as biased_mmd


def mmd_rbf(
    generated: Array, reference: Array, *, sigma: float = 10.0, scale: float = 1000.0, biased: bool = True
) -> float:
    """Squared MMD with a Gaussian kernel, times `scale`; lower is better.

    With unit-norm CLIP embeddings, σ = 10 and scale = 1000 it is CMMD. The published CMMD is the *biased* estimate,
    which includes the diagonal: it is never negative, it is 0 for identical sets, and it grows as n falls, so compare
    only equal n. The unbiased estimate can be negative. Rows are not normalised here.

    Args:
        generated: (n, d) embeddings, n >= 1 (2 when unbiased).
        reference: (m, d) embeddings, likewise.
        sigma: width of the kernel, > 0.
        scale: factor on the result.
        biased: include the diagonals, as published.

    Raises:
        InputError: too few rows, different widths, NaN or infinity, sigma not positive.

    Source:
        Jayasumana et al. 2024 (arXiv:2401.09603), eq. 2 and section 4; the biased form: their code.

    Example:
        >>> import numpy as np
        >>> x = np.eye(4)
        >>> mmd_rbf(x, x)
        0.0
    """
    generated, reference = two_matrices(generated, reference, smallest=1 if biased else 2)
    if not sigma > 0.0:
        raise InputError(f"mmd_rbf: sigma must be positive, got {sigma}.")
    kernel = gaussian(sigma, origin(generated, reference))
    if biased:
        return max(0.0, scale * biased_mmd(generated, reference, kernel))
    return scale * unbiased(generated, reference, kernel)


def gaussian(sigma: float, centre: Floats) -> Kernel:
    """The kernel exp(-|x - y|² / 2σ²) - 1.

    Wide kernels are 1 almost everywhere. Subtracting 1, which cancels in every MMD, keeps the digits that differ.
    Both sides are measured from `centre` for the same reason.
    """

    def evaluate(x: Floats, y: Floats) -> Floats:
        x, y = x - centre, y - centre
        tile = x @ y.T
        tile *= -2.0
        tile += np.einsum("ij,ij->i", x, x)[:, None]
        tile += np.einsum("ij,ij->i", y, y)
        np.maximum(tile, 0.0, out=tile)
        tile *= -0.5 / sigma**2
        return np.asarray(np.expm1(tile, out=tile))

    return evaluate


def origin(generated: Array, reference: Array) -> Floats:
    """Return a point inside the data: the mean of the first rows of both sides."""
    return np.asarray(
        (generated[:TILE].mean(axis=0, dtype=np.float64) + reference[:TILE].mean(axis=0, dtype=np.float64))
        / 2
    )
