"""A vectorised scan-line rasteriser in plain NumPy: triangles in, one visible triangle per sample out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Hits:
    """What is visible at each covered sample of a square grid.

    Attributes:
        samples: (k,) flat index (row * size + column) of each covered sample, ascending.
        triangles: (k,) index of the nearest triangle there.
        weights: (k, 3) float32 perspective-correct barycentric weights, rows sum to 1.
        depth: (k,) float32 distance along the viewing axis, in the unit of the input.
    """

    samples: Ints
    triangles: Ints
    weights: Floats
    depth: Floats


def rasterise(
    points: NDArray[np.floating],
    depth: NDArray[np.floating],
    triangles: Ints,
    size: int,
    two_sided: NDArray[np.bool_],
) -> Hits:
    """Find the nearest triangle at every sample of a size × size grid.

    A triangle whose corners run clockwise on screen (y down) shows its front; the others are culled unless they are two-sided.

    Args:
        points: (v, 2) screen position of every vertex in samples, x right, y down; sample centres sit at integers + 0.5.
        depth: (v,) distance along the viewing axis, positive.
        triangles: (f, 3) vertex indices.
        size: samples per side.
        two_sided: (f,) bool, triangles that are drawn from both sides.

    Returns:
        The hits, sorted by sample.
    """
    inverse = 1.0 / depth.astype(np.float64)
    order, corners = _front(points, triangles, two_sided, size)
    row_triangle, rows, first, count = _spans(corners, size)
    total = int(count.sum())
    if total == 0:
        return Hits(
            np.zeros(0, np.int64),
            np.zeros(0, np.int64),
            np.zeros((0, 3), np.float32),
            np.zeros(0, np.float32),
        )
    planes = _planes(corners, inverse[triangles[order]])
    span = np.repeat(np.arange(len(rows)), count)
    column = np.arange(total) - np.repeat(np.cumsum(count) - count - first, count)
    base = planes[row_triangle, 0] + planes[row_triangle, 2] * (rows + 0.5) + 0.5 * planes[row_triangle, 1]
    nearness = base[span] + planes[row_triangle, 1][span] * column
    winner = _nearest((rows * size)[span] + column, nearness, size)
    covered = np.flatnonzero(winner >= 0)
    chosen = winner[covered]
    local = row_triangle[span[chosen]]
    weights, hit_depth = _weights(corners[local], covered, size, inverse[triangles[order[local]]])
    return Hits(covered, order[local], weights, hit_depth)


def _front(
    points: NDArray[np.floating], triangles: Ints, two_sided: NDArray[np.bool_], size: int
) -> tuple[Ints, NDArray[np.float64]]:
    """Indices and (k, 3, 2) screen corners of the triangles that face the camera and touch the grid."""
    corners = points.astype(np.float64)[triangles]
    one, two = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0]
    low, high = corners.min(1), corners.max(1)
    inside = (high > 0.5).all(1) & (low < size - 0.5).all(1)
    kept = np.flatnonzero(inside & (two_sided & (np.abs(area) > 1e-9) | (area < -1e-9)))
    return kept, corners[kept]


def _spans(corners: NDArray[np.float64], size: int) -> tuple[Ints, Ints, Ints, Ints]:
    """Cut every triangle into runs of samples: triangle, row, first column and length of each run."""
    low = np.clip(np.ceil(corners[:, :, 1].min(1) - 0.5), 0, size).astype(np.int64)
    high = np.clip(np.ceil(corners[:, :, 1].max(1) - 0.5), 0, size).astype(np.int64)
    height = high - low
    triangle = np.repeat(np.arange(len(corners)), height)
    rows = np.arange(int(height.sum())) - np.repeat(np.cumsum(height) - height - low, height)
    left = np.full(len(rows), np.inf)
    right = np.full(len(rows), -np.inf)
    centre = rows + 0.5
    for a, b in ((0, 1), (1, 2), (2, 0)):
        start, stop = corners[:, a], corners[:, b]
        rise = stop[:, 1] - start[:, 1]
        slope = np.divide(stop[:, 0] - start[:, 0], rise, out=np.zeros_like(rise), where=rise != 0)
        top, bottom = (
            np.minimum(start[:, 1], stop[:, 1])[triangle],
            np.maximum(start[:, 1], stop[:, 1])[triangle],
        )
        crossing = start[triangle, 0] + slope[triangle] * (centre - start[triangle, 1])
        crossed = (centre >= top) & (centre < bottom)
        left = np.where(crossed, np.minimum(left, crossing), left)
        right = np.where(crossed, np.maximum(right, crossing), right)
    empty = right < left
    left[empty] = right[empty] = 0.0
    first = np.clip(np.ceil(left - 0.5), 0, size).astype(np.int64)
    count = np.clip(np.ceil(right - 0.5), 0, size).astype(np.int64) - first
    kept = np.flatnonzero(count > 0)
    return triangle[kept], rows[kept], first[kept], count[kept]


def _planes(corners: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(k, 3) coefficients c, dx, dy of the plane c + dx·x + dy·y through a value at each of three corners."""
    one, two = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0]
    rise_one, rise_two = values[:, 1] - values[:, 0], values[:, 2] - values[:, 0]
    dx = (rise_one * two[:, 1] - rise_two * one[:, 1]) / area
    dy = (rise_two * one[:, 0] - rise_one * two[:, 0]) / area
    return np.stack([values[:, 0] - dx * corners[:, 0, 0] - dy * corners[:, 0, 1], dx, dy], 1)


def _nearest(samples: Ints, nearness: NDArray[np.float64], size: int) -> Ints:
    """For each sample of the grid the candidate with the greatest nearness, or -1."""
    low, high = float(nearness.min()), float(nearness.max())
    scale = (2.0**31 - 1) / max(high - low, 1e-12)
    # One integer holds distance first and candidate second, so that a single minimum settles both.
    key = ((high - nearness) * scale).astype(np.int64) << 32 | np.arange(len(samples))
    best = np.full(size * size, np.iinfo(np.int64).max)
    np.minimum.at(best, samples, key)
    return np.where(best == np.iinfo(np.int64).max, -1, best & 0xFFFFFFFF)


def _weights(
    corners: NDArray[np.float64], samples: Ints, size: int, inverse: NDArray[np.float64]
) -> tuple[Floats, Floats]:
    """Perspective-correct barycentric weights and the depth at each sample."""
    x, y = samples % size + 0.5, samples // size + 0.5
    one, two = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0]
    dx, dy = x - corners[:, 0, 0], y - corners[:, 0, 1]
    second = (dx * two[:, 1] - dy * two[:, 0]) / area
    third = (dy * one[:, 0] - dx * one[:, 1]) / area
    screen = np.stack([1.0 - second - third, second, third], 1) * inverse
    nearness = screen.sum(1)
    return (screen / nearness[:, None]).astype(np.float32), (1.0 / nearness).astype(np.float32)
