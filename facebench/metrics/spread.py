"""Spread: the root mean square distance of the rows from their mean.

spread = sqrt(Σ_i |x_i - mean|² / n)
"""

from __future__ import annotations

import numpy as np

from facebench.metrics.arrays import Array, matrix


def spread(values: Array) -> float:
    """Root of the total population variance, in the unit of the values; higher is more varied.

    For head pose in degrees, (n, 3), this is the root mean square distance from the mean pose.

    Args:
        values: (n,) or (n, d) finite numbers, n >= 1.

    Raises:
        InputError: empty, NaN or infinity.

    Example:
        >>> spread([[0.0, 3.0], [0.0, -3.0]])
        3.0
    """
    array = np.asarray(values)
    rows = matrix(array[:, None] if array.ndim == 1 else array, "values")
    return float(np.sqrt(np.var(rows, axis=0, dtype=np.float64).sum()))
