"""Maximum mean discrepancy, in tiles: KID with its polynomial kernel, CMMD with a Gaussian one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import overload

import numpy as np

from facebench.core.errors import InputError
from facebench.metrics.arrays import Array, Floats, Ints, two_matrices

_TILE = 2048
"""Rows and columns of one tile of a kernel matrix: 32 MB of float64."""

Kernel = Callable[[Floats, Floats], Floats]


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

    Unbiased, so it may be negative, and it is for a set against itself. Without `subsets` every sample is
    used (sizes may differ); with `subsets`, the mean and the standard deviation over seeded subsets drawn
    without replacement, generated first.

    Args:
        generated: (n, d) features, n >= 2.
        reference: (m, d) features, m >= 2.
        subsets: number of subsets, or None for all samples at once.
        subset_size: rows of each side in a subset; at most min(n, m).
        seed: of the choice of subsets.

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


def mmd_rbf(
    generated: Array, reference: Array, *, sigma: float = 10.0, scale: float = 1000.0, biased: bool = True
) -> float:
    """Squared MMD with a Gaussian kernel, times `scale`; lower is better.

    It is CMMD when the rows are unit-norm CLIP embeddings. The kernel is exp(-|x - y|² / 2σ²). The published
    CMMD is the *biased* estimate, diagonal included: it is never negative, it is 0 for identical sets, and it
    grows as n falls, so compare only equal n. The unbiased one may be negative. σ = 10 and scale = 1000
    belong to unit-norm CLIP embeddings. Rows are used as given.

    Args:
        generated: (n, d) embeddings, n >= 1 (2 when unbiased).
        reference: (m, d) embeddings, likewise.
        sigma: width of the kernel, > 0.
        scale: factor on the result.
        biased: include the diagonals (the published definition).

    Raises:
        InputError: too few rows, different widths, NaN or infinity, sigma not positive.

    Source:
        Jayasumana et al. 2024 (arXiv:2401.09603), eq. 2 and section 4; the biased form is that of their code.

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
        return max(0.0, scale * _biased(generated, reference, kernel))
    return scale * unbiased(generated, reference, kernel)


def cubic(d: int) -> Kernel:
    """The kernel (x·y / d + 1)³ of KID for d features."""

    def evaluate(x: Floats, y: Floats) -> Floats:
        tile = x @ y.T
        tile /= d
        tile += 1.0
        return np.asarray(tile * tile * tile)

    return evaluate


def gaussian(sigma: float, centre: Floats) -> Kernel:
    """The kernel exp(-|x - y|² / 2σ²) - 1.

    One is taken off because wide kernels are 1 almost everywhere: it cancels in every MMD, and without it the
    digits that differ survive. `centre` is subtracted first, for the same reason, from the squared distances.
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
    """A point amid the data, to measure from: the mean of the first rows of both sides."""
    return np.asarray(
        (generated[:_TILE].mean(axis=0, dtype=np.float64) + reference[:_TILE].mean(axis=0, dtype=np.float64))
        / 2
    )


def unbiased(generated: Array, reference: Array, kernel: Kernel) -> float:
    """Unbiased squared MMD: the diagonals of the two inner kernel matrices are left out."""
    n, m = len(generated), len(reference)
    within = _within(generated, kernel)[0] / (n * (n - 1)) + _within(reference, kernel)[0] / (m * (m - 1))
    return within - 2.0 * _between(generated, reference, kernel) / (n * m)


def _biased(generated: Array, reference: Array, kernel: Kernel) -> float:
    n, m = len(generated), len(reference)
    within = sum(_within(generated, kernel)) / n**2 + sum(_within(reference, kernel)) / m**2
    return within - 2.0 * _between(generated, reference, kernel) / (n * m)


def _within(features: Array, kernel: Kernel) -> tuple[float, float]:
    """Sum of the kernel over all ordered pairs of different rows, and over the diagonal."""
    off, diagonal = 0.0, 0.0
    for i in range(0, len(features), _TILE):
        rows = _rows(features, i)
        tile = kernel(rows, rows)
        own = float(np.trace(tile))
        diagonal += own
        off += float(tile.sum()) - own
        for j in range(i + _TILE, len(features), _TILE):
            off += 2.0 * float(kernel(rows, _rows(features, j)).sum())
    return off, diagonal


def _between(generated: Array, reference: Array, kernel: Kernel) -> float:
    total = 0.0
    for i in range(0, len(generated), _TILE):
        rows = _rows(generated, i)
        for j in range(0, len(reference), _TILE):
            total += float(kernel(rows, _rows(reference, j)).sum())
    return total


def _rows(features: Array, start: int) -> Floats:
    return np.asarray(features[start : start + _TILE], dtype=np.float64)


def _subset(features: Array, size: int, rng: np.random.Generator) -> Floats:
    return np.asarray(features[np.sort(rng.choice(len(features), size, replace=False))], dtype=np.float64)


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
    """Squared MMD without each group of rows in turn, for the jackknife, from one pass over all tiles.

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
    for i in range(0, len(features), _TILE):
        rows = _rows(features, i)
        for j in range(i, len(features), _TILE):
            tile = kernel(rows, _rows(features, j))
            part = members[i : i + _TILE].T @ (tile @ members[j : j + _TILE])
            sums += part if i == j else part + part.T
            if i == j:
                diagonal += np.diag(tile) @ members[i : i + _TILE]
    return sums, diagonal


def _between_groups(
    generated: Array, reference: Array, kernel: Kernel, labels: tuple[Ints, Ints], groups: int
) -> Floats:
    sums = np.zeros((groups, groups))
    left, right = np.eye(groups)[labels[0]], np.eye(groups)[labels[1]]
    for i in range(0, len(generated), _TILE):
        rows = _rows(generated, i)
        for j in range(0, len(reference), _TILE):
            tile = kernel(rows, _rows(reference, j))
            sums += left[i : i + _TILE].T @ (tile @ right[j : j + _TILE])
    return sums
