"""MIND and sliced Wasserstein distance: differences of sorted projections on random directions.

    SW²  = mean_u mean_i (sort(X u)_i - sort(Y u)_i)²        SW = sqrt(SW²)        MIND = 3 d SW²

u runs over unit directions in d dimensions. X and Y have equal numbers of rows.
"""

from __future__ import annotations

import numpy as np

from facebench.core.errors import InputError
from facebench.metrics.arrays import BLOCK_ELEMENTS, Array, Floats, matrix, two_matrices


def mind(
    generated: Array,
    reference: Array,
    *,
    directions: Array | None = None,
    count: int = 1000,
    seed: int = 2020,
) -> float:
    """MIND, the squared sliced Wasserstein distance times 3 d; at least 0, lower is better.

    With sets of unequal size, rows of the larger one are drawn without replacement. The directions and this draw come
    from NumPy's generator. torch-fidelity uses PyTorch's generator, so equal seeds give other directions here; give
    its `directions` and equal numbers of rows to reproduce its value.

    Args:
        generated: (n, d) features, n >= 2.
        reference: (m, d) features, m >= 2.
        directions: (count, d) projections, used as given; they should have unit length. None draws them.
        count: number of drawn directions.
        seed: seed of the directions and of the draw of rows.

    Raises:
        InputError: fewer than two rows, different widths, no direction, directions of another width, NaN or infinity.

    Source:
        arXiv:2605.06797; torch-fidelity's `metric_mind`.

    Example:
        >>> x = np.random.default_rng(0).standard_normal((500, 8))
        >>> mind(x, x[::-1])
        0.0
        >>> round(mind(x, x + 1.0, directions=np.eye(8)), 9)  # 3 · 8 · 1²
        24.0
    """
    squared = squared_sliced_wasserstein(generated, reference, directions, count=count, seed=seed)
    return 3.0 * int(np.asanyarray(generated).shape[1]) * squared


def sliced_wasserstein(
    generated: Array,
    reference: Array,
    *,
    directions: Array | None = None,
    count: int = 1000,
    seed: int = 2020,
) -> float:
    """Sliced 2-Wasserstein distance in the unit of the features; at least 0, lower is better.

    Arguments, errors and seeds as in `mind`.

    Source:
        Bonneel et al. 2015, "Sliced and Radon Wasserstein barycenters of measures", eq. 8.

    Example:
        >>> x = np.random.default_rng(0).standard_normal((500, 8))
        >>> round(sliced_wasserstein(x, x + 1.0, directions=np.eye(8)), 9)
        1.0
    """
    squared = squared_sliced_wasserstein(generated, reference, directions, count=count, seed=seed)
    return float(np.sqrt(squared))


def squared_sliced_wasserstein(
    generated: Array, reference: Array, directions: Array | None, *, count: int, seed: int
) -> float:
    """Mean over directions of the squared 2-Wasserstein distance of the projections; arguments as in `mind`."""
    generated, reference = two_matrices(generated, reference, smallest=2)
    rng = np.random.default_rng(seed)
    n = min(len(generated), len(reference))
    generated, reference = (
        rows if len(rows) == n else rows[np.sort(rng.permutation(len(rows))[:n])]
        for rows in (generated, reference)
    )
    units = (
        _drawn(rng, count, generated.shape[1])
        if directions is None
        else _given(directions, generated.shape[1])
    )
    step = max(1, BLOCK_ELEMENTS // (2 * n))
    total = 0.0
    for start in range(0, len(units), step):
        part = units[start : start + step].T
        gap = np.sort(_project(generated, part), axis=0) - np.sort(_project(reference, part), axis=0)
        total += float(np.einsum("ij,ij->", gap, gap))
    return total / (n * len(units))


def _drawn(rng: np.random.Generator, count: int, width: int) -> Floats:
    if count < 1:
        raise InputError(f"count must be 1 or more, got {count}.")
    directions = rng.standard_normal((count, width))
    return np.asarray(directions / np.linalg.norm(directions, axis=1, keepdims=True))


def _given(directions: Array, width: int) -> Floats:
    directions = matrix(directions, "directions")
    if directions.shape[1] != width:
        raise InputError(f"directions have {directions.shape[1]} columns, the features {width}.")
    return np.asarray(directions, dtype=np.float64)


def _project(features: Array, directions: Floats) -> Floats:
    """Project rows, (n, directions), in float64 blocks."""
    step = max(16, BLOCK_ELEMENTS // features.shape[1])
    parts = [
        np.asarray(features[start : start + step], dtype=np.float64) @ directions
        for start in range(0, len(features), step)
    ]
    return np.concatenate(parts)
