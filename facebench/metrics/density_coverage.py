"""Density and coverage: how many reference balls hold each generated sample, and how many balls are reached.

    density  = Σ_g |{r : |g - r| < R_k(r)}| / (k n)
    coverage = |{r : |g - r| < R_k(r) for some g}| / m

R_k(r) is the distance of r to its k-th nearest other reference row.
"""

from __future__ import annotations

from dataclasses import dataclass

from facebench.metrics.arrays import Array
from facebench.metrics.balls import Sets, check_sets, count_in_balls, radii


@dataclass(frozen=True)
class DensityCoverage:
    """Density (about 1 for a perfect generator, and can exceed it) and coverage in [0, 1]; higher is better."""

    density: float
    coverage: float


def density_coverage(generated: Array, reference: Array, *, k: int = 5) -> DensityCoverage:
    """Density and coverage of a generated set; higher is better.

    Args:
        generated: (n, d) features, n >= 1.
        reference: (m, d) features, m > k.
        k: the nearest neighbour that sets the radius.

    Raises:
        InputError: too few rows for k, different widths, NaN or infinity.

    Source:
        Naeem et al. 2020 (arXiv:2002.09797), eq. 3 and 4.

    Example:
        >>> import numpy as np
        >>> x = np.arange(8.0)[:, None]
        >>> density_coverage(x, x, k=2)
        DensityCoverage(density=0.625, coverage=1.0)
    """
    generated, reference = check_sets(generated, reference, k, both=False)
    sets = Sets.of(generated, reference)
    balls, hits = count_in_balls(sets, None, radii(sets.reference, k), strict=True)
    return DensityCoverage(float(balls.mean() / k), float((hits > 0).mean()))
