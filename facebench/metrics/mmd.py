"""Squared maximum mean discrepancy (MMD) of two sets for any kernel, computed in tiles.

MMD² = mean k(x, x') + mean k(y, y') - 2 mean k(x, y)          (Gretton et al. 2012, eq. 3 and 5)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from facebench.metrics.arrays import Array, Floats, Ints

TILE = 2048
"""Rows and columns of one tile of a kernel matrix: 32 MB of float64."""

Kernel = Callable[[Floats, Floats], Floats]
"""From (r, d) and (c, d) rows to their (r, c) kernel values."""


def unbiased(generated: Array, reference: Array, kernel: Kernel) -> float:
    """Unbiased squared MMD: the diagonals of the two inner kernel matrices are excluded."""
    n, m = len(generated), len(reference)
    within = _within(generated, kernel)[0] / (n * (n - 1)) + _within(reference, kernel)[0] / (m * (m - 1))
    return within - 2.0 * _between(generated, reference, kernel) / (n * m)


def biased(generated: Array, reference: Array, kernel: Kernel) -> float:
    """Biased squared MMD (V-statistic): the diagonals of the two inner kernel matrices are included."""
    n, m = len(generated), len(reference)
    within = sum(_within(generated, kernel)) / n**2 + sum(_within(reference, kernel)) / m**2
    return within - 2.0 * _between(generated, reference, kernel) / (n * m)


def _within(features: Array, kernel: Kernel) -> tuple[float, float]:
    """Sum of the kernel over all ordered pairs of different rows, and over the diagonal."""
    off, diagonal = 0.0, 0.0
    for i in range(0, len(features), TILE):
        rows = _rows(features, i)
        tile = kernel(rows, rows)
        own = float(np.trace(tile))
        diagonal += own
        off += float(tile.sum()) - own
        for j in range(i + TILE, len(features), TILE):
            off += 2.0 * float(kernel(rows, _rows(features, j)).sum())
    return off, diagonal


def _between(generated: Array, reference: Array, kernel: Kernel) -> float:
    total = 0.0
    for i in range(0, len(generated), TILE):
        rows = _rows(generated, i)
        for j in range(0, len(reference), TILE):
            total += float(kernel(rows, _rows(reference, j)).sum())
    return total


def _rows(features: Array, start: int) -> Floats:
    return np.asarray(features[start : start + TILE], dtype=np.float64)


@dataclass(frozen=True)
class _GroupSums:
    """Kernel sums between groups of rows: (g, g) each, and the diagonals (g,)."""

    generated: Floats
    generated_diagonal: Floats
    reference: Floats
    reference_diagonal: Floats
    between: Floats


def kernel_leave_out(
    generated: Array, reference: Array, kernel: Kernel, labels: tuple[Ints, Ints], groups: int, biased: bool
) -> list[float]:
    """Squared MMD without each group of rows in turn, for the jackknife, in one pass over all tiles.

    Args:
        generated: (n, d) features.
        reference: (m, d) features.
        kernel: function of two blocks of rows.
        labels: group of every generated and of every reference row, in [0, groups).
        groups: how many groups.
        biased: include the diagonals.
    """
    own, own_diagonal = _within_groups(generated, kernel, labels[0], groups)
    other, other_diagonal = _within_groups(reference, kernel, labels[1], groups)
    between = _between_groups(generated, reference, kernel, labels, groups)
    sums = _GroupSums(own, own_diagonal, other, other_diagonal, between)
    sizes = [np.bincount(side, minlength=groups) for side in labels]
    return [_without(sums, sizes, group, biased) for group in range(groups)]


def _without(sums: _GroupSums, sizes: list[Ints], group: int, biased: bool) -> float:
    kept = np.arange(len(sizes[0])) != group
    n, m = int(sizes[0][kept].sum()), int(sizes[1][kept].sum())
    less = 0 if biased else 1
    own = sums.generated[kept][:, kept].sum() - less * sums.generated_diagonal[kept].sum()
    other = sums.reference[kept][:, kept].sum() - less * sums.reference_diagonal[kept].sum()
    between = sums.between[kept][:, kept].sum()
    return float(own / (n * (n - less)) + other / (m * (m - less)) - 2.0 * between / (n * m))


def _within_groups(features: Array, kernel: Kernel, labels: Ints, groups: int) -> tuple[Floats, Floats]:
    sums, diagonal = np.zeros((groups, groups)), np.zeros(groups)
    members = np.eye(groups)[labels]
    for i in range(0, len(features), TILE):
        rows = _rows(features, i)
        for j in range(i, len(features), TILE):
            tile = kernel(rows, _rows(features, j))
            part = members[i : i + TILE].T @ (tile @ members[j : j + TILE])
            sums += part if i == j else part + part.T
            if i == j:
                diagonal += np.diag(tile) @ members[i : i + TILE]
    return sums, diagonal


def _between_groups(
    generated: Array, reference: Array, kernel: Kernel, labels: tuple[Ints, Ints], groups: int
) -> Floats:
    sums = np.zeros((groups, groups))
    left, right = np.eye(groups)[labels[0]], np.eye(groups)[labels[1]]
    for i in range(0, len(generated), TILE):
        rows = _rows(generated, i)
        for j in range(0, len(reference), TILE):
            tile = kernel(rows, _rows(reference, j))
            sums += left[i : i + TILE].T @ (tile @ right[j : j + TILE])
    return sums
