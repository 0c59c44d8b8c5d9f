"""MIND and sliced Wasserstein distance: differences of sorted projections on random directions.

    SW²  = mean_u mean_i (sort(X u)_i - sort(Y u)_i)²        SW = sqrt(SW²)        MIND = 3 d SW²

u runs over unit directions in d dimensions. X and Y have equal numbers of rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from facebench.core.errors import InputError
from facebench.metrics.arrays import BLOCK_ELEMENTS, Array, Floats, Ints, matrix, two_matrices


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
    draw = _Draw.of(generated, reference, directions, count, seed)
    n = min(len(generated), len(reference))
    generated, reference = (
        rows if len(rows) == n else rows[np.sort(order[:n])]
        for rows, order in zip((generated, reference), draw.orders, strict=True)
    )
    total = 0.0
    for part in draw.blocks(2 * n):
        gap = np.sort(_project(generated, part), axis=0) - np.sort(_project(reference, part), axis=0)
        total += float(np.einsum("ij,ij->", gap, gap))
    return total / (n * len(draw.units))


def sliced_leave_out(
    sides: Sequence[Array],
    labels: tuple[Ints, Ints],
    groups: int,
    *,
    directions: Array | None = None,
    count: int = 1000,
    seed: int = 2020,
) -> list[float]:
    """Squared sliced Wasserstein distance without each group of rows in turn, for the jackknife.

    All rows are projected and sorted once; a group is left out of the sorted lists. Directions and the order in which
    rows of the larger set are drawn are those of the whole sets, so that the values differ by the rows alone.

    Args:
        sides: generated and reference features.
        labels: group of every generated and of every reference row, in [0, groups).
        groups: number of groups.
        directions: as in `mind`.
        count: as in `mind`.
        seed: as in `mind`.
    """
    draw = _Draw.of(sides[0], sides[1], directions, count, seed)
    kept = _kept_rows(draw.orders, labels, groups)
    used = [np.flatnonzero(rows.any(axis=0)) for rows in kept]
    chosen = [side[rows] for side, rows in zip(sides, used, strict=True)]
    members = [rows[:, places] for rows, places in zip(kept, used, strict=True)]
    totals = np.zeros(groups)
    for part in draw.blocks(4 * max(map(len, chosen))):
        projected = [_project(rows, part).T for rows in chosen]
        places = [np.argsort(rows, axis=1) for rows in projected]
        ordered = [np.take_along_axis(*pair, axis=1) for pair in zip(projected, places, strict=True)]
        for group in range(groups):
            left, right = (
                rows[member[group][place]].reshape(len(rows), -1)
                for rows, member, place in zip(ordered, members, places, strict=True)
            )
            gap = left - right
            totals[group] += float(np.einsum("ij,ij->", gap, gap))
    sizes = kept[0].sum(axis=1) * len(draw.units)
    return [float(value) for value in totals / sizes]


def _kept_rows(orders: Sequence[Ints], labels: Sequence[Ints], groups: int) -> list[npt.NDArray[np.bool_]]:
    """For each side, which rows stay without each group, (groups, rows): equally many on both sides."""
    kept = [np.zeros((groups, len(order)), dtype=np.bool_) for order in orders]
    for group in range(groups):
        left = [order[label[order] != group] for order, label in zip(orders, labels, strict=True)]
        n = min(map(len, left))
        for rows, order in zip(kept, left, strict=True):
            rows[group, order[:n]] = True
    return kept


@dataclass(frozen=True)
class _Draw:
    """What is random: the order in which rows of the larger set are drawn, and the directions.

    Attributes:
        orders: order of the rows of each set; the smaller set has all its rows.
        units: (count, d) directions.
    """

    orders: tuple[Ints, Ints]
    units: Floats

    @classmethod
    def of(cls, generated: Array, reference: Array, directions: Array | None, count: int, seed: int) -> _Draw:
        rng = np.random.default_rng(seed)
        n, width = min(len(generated), len(reference)), generated.shape[1]
        first, second = (
            np.arange(n) if len(rows) == n else rng.permutation(len(rows)) for rows in (generated, reference)
        )
        units = _drawn(rng, count, width) if directions is None else _given(directions, width)
        return cls((first, second), units)

    def blocks(self, rows: int) -> Iterator[Floats]:
        """Yield the directions as columns, in blocks for arrays of so many rows."""
        step = max(1, BLOCK_ELEMENTS // rows)
        for start in range(0, len(self.units), step):
            yield self.units[start : start + step].T


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
