"""Vectorised scan-line rasteriser in NumPy: finds the visible triangle at every sample of a grid."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Hits:
    """Visible triangle at each covered sample of a square grid.

    Attributes:
        samples: (k,) flat index (row * size + column) of each covered sample, ascending.
        triangles: (k,) index of the nearest triangle there.
        weights: (k, 3) float32 perspective-correct barycentric weights, rows sum to 1.
        depth: (k,) float32 distance along the viewing axis, in the units of the input.
    """

    samples: Ints
    triangles: Ints
    weights: Floats
    depth: Floats

    def shifted(self, by: int) -> Hits:
        """Return the same hits with `by` added to the triangle indices."""
        return replace(self, triangles=self.triangles + by)


@dataclass(frozen=True)
class _Triangles:
    """Triangles to be drawn; x, y and nearness (1 / depth) hold one array per corner."""

    index: Ints
    x: tuple[Doubles, Doubles, Doubles]
    y: tuple[Doubles, Doubles, Doubles]
    area: Doubles
    nearness: tuple[Doubles, Doubles, Doubles]

    def plane(self) -> tuple[Doubles, Doubles, Doubles]:
        """Return the coefficients c, dx, dy of nearness = c + dx·x + dy·y over each triangle."""
        (x0, x1, x2), (y0, y1, y2), (n0, n1, n2) = self.x, self.y, self.nearness
        dx = ((n1 - n0) * (y2 - y0) - (n2 - n0) * (y1 - y0)) / self.area
        dy = ((n2 - n0) * (x1 - x0) - (n1 - n0) * (x2 - x0)) / self.area
        return n0 - dx * x0 - dy * y0, dx, dy


def rasterise(
    points: NDArray[np.floating],
    depth: NDArray[np.floating],
    triangles: Ints,
    size: int,
    two_sided: NDArray[np.bool_] | bool = False,
) -> Hits:
    """Find the nearest triangle at every sample of a size × size grid.

    Triangles whose corners appear clockwise are culled unless they are two-sided.

    Args:
        points: (v, 2) screen position of every vertex in samples, x right, y down; sample centres lie at
            integers + 0.5.
        depth: (v,) distance along the viewing axis, positive.
        triangles: (f, 3) vertex indices.
        size: samples per side.
        two_sided: (f,) or a single bool, triangles drawn from both sides.

    Returns:
        The hits, sorted by sample.

    Example:
        >>> square = np.array([[0.0, 0.0], [0.0, 4.0], [4.0, 4.0], [4.0, 0.0]])
        >>> hits = rasterise(square, np.ones(4), np.array([[0, 1, 2], [0, 2, 3]]), 4)
        >>> len(hits.samples), hits.weights.shape
        (16, (16, 3))
    """
    drawn = _front(points, depth, triangles, size, two_sided)
    triangle, rows, first, count = _spans(drawn, size)
    if len(rows) == 0:
        return Hits(*(np.zeros(0, np.int64),) * 2, np.zeros((0, 3), np.float32), np.zeros(0, np.float32))
    constant, dx, dy = drawn.plane()
    slope = dx[triangle]
    start = constant[triangle] + dy[triangle] * (rows + 0.5) + slope * (first + 0.5)
    # Expand runs to samples: `step` counts 0, 1, 2 ... along each run.
    run = np.repeat(np.arange(len(rows)), count)
    step = np.arange(len(run)) - np.repeat(np.cumsum(count) - count, count)
    nearest = _nearest((rows * size + first)[run] + step, start[run] + slope[run] * step, size)
    covered = np.flatnonzero(nearest >= 0)
    visible = triangle[run[nearest[covered]]]
    weights, distance = _weights(drawn, visible, covered, size)
    return Hits(covered, drawn.index[visible], weights, distance)


def _front(
    points: NDArray[np.floating],
    depth: NDArray[np.floating],
    triangles: Ints,
    size: int,
    two_sided: NDArray[np.bool_] | bool,
) -> _Triangles:
    """Select the triangles that face the camera and overlap the grid."""
    columns = np.ascontiguousarray(triangles.T)
    px, py = points[:, 0].astype(np.float64), points[:, 1].astype(np.float64)
    x, y = px[columns], py[columns]
    area = (x[1] - x[0]) * (y[2] - y[0]) - (x[2] - x[0]) * (y[1] - y[0])
    facing = (area < -1e-9) | (two_sided & (area > 1e-9))
    inside = (np.maximum(np.maximum(x[0], x[1]), x[2]) > 0.5) & (
        np.minimum(np.minimum(x[0], x[1]), x[2]) < size - 0.5
    )
    inside &= (np.maximum(np.maximum(y[0], y[1]), y[2]) > 0.5) & (
        np.minimum(np.minimum(y[0], y[1]), y[2]) < size - 0.5
    )
    kept = np.flatnonzero(facing & inside)
    x, y = x[:, kept], y[:, kept]
    inverse = (1.0 / depth.astype(np.float64))[columns[:, kept]]
    return _Triangles(
        kept, (x[0], x[1], x[2]), (y[0], y[1], y[2]), area[kept], (inverse[0], inverse[1], inverse[2])
    )


def _spans(drawn: _Triangles, size: int) -> tuple[Ints, Ints, Ints, Ints]:
    """Split triangles into runs of samples; return triangle, row, first column and length of each run."""
    y0, y1, y2 = drawn.y
    low = np.clip(np.ceil(np.minimum(np.minimum(y0, y1), y2) - 0.5), 0, size).astype(np.int64)
    high = np.clip(np.ceil(np.maximum(np.maximum(y0, y1), y2) - 0.5), 0, size).astype(np.int64)
    height = high - low
    triangle = np.repeat(np.arange(len(height)), height)
    rows = np.arange(len(triangle)) - np.repeat(np.cumsum(height) - height - low, height)
    lines = np.take(_side_lines(drawn), triangle, axis=1)
    centre = rows + 0.5
    left = np.maximum(lines[0] + lines[1] * centre, lines[2] + lines[3] * centre)
    right = np.minimum(lines[4] + lines[5] * centre, lines[6] + lines[7] * centre)
    first = np.clip(np.ceil(left - 0.5), 0, size).astype(np.int64)
    count = np.clip(np.ceil(right - 0.5), 0, size).astype(np.int64) - first
    kept = np.flatnonzero(count > 0)
    return triangle[kept], rows[kept], first[kept], count[kept]


def _side_lines(drawn: _Triangles) -> Doubles:
    """Return the lines x = offset + slope·y that bound each triangle: (8, k), two on the left, then two on the right.

    One or two of the three edges bound a triangle on the left, and the others on the right. A horizontal edge bounds
    neither side. A side with a single edge lists it twice.
    """
    offsets, slopes, on_left, on_right = [], [], [], []
    for a, b in ((0, 1), (1, 2), (2, 0)):
        rise = drawn.y[b] - drawn.y[a]
        slope = np.divide(drawn.x[b] - drawn.x[a], rise, out=np.zeros_like(rise), where=rise != 0)
        offsets.append(drawn.x[a] - slope * drawn.y[a])
        slopes.append(slope)
        downwards = rise * drawn.area
        on_left.append(downwards < 0)
        on_right.append(downwards > 0)
    every = np.arange(len(drawn.area))
    offset, slope = np.stack(offsets), np.stack(slopes)
    lines = []
    for side in (on_left, on_right):
        first = np.where(side[0], 0, np.where(side[1], 1, 2))
        last = np.where(side[2], 2, np.where(side[1], 1, 0))
        for edge in (first, last):
            lines += [offset[edge, every], slope[edge, every]]
    return np.stack(lines)


def _nearest(samples: Ints, nearness: Doubles, size: int) -> Ints:
    """Return the candidate with the largest nearness for each sample of the grid, or -1."""
    low, high = float(nearness.min()), float(nearness.max())
    scale = (2.0**31 - 1) / max(high - low, 1e-12)
    # Distance in the high bits and candidate in the low bits: one minimum selects both.
    key = ((high - nearness) * scale).astype(np.int64) << 32 | np.arange(len(samples))
    none = np.iinfo(np.int64).max
    best = np.full(size * size, none)
    np.minimum.at(best, samples, key)
    return np.where(best == none, -1, best & 0xFFFFFFFF)


def _weights(drawn: _Triangles, visible: Ints, samples: Ints, size: int) -> tuple[Floats, Floats]:
    """Return perspective-correct barycentric weights and depth at each sample."""
    (x0, x1, x2), (y0, y1, y2) = drawn.x, drawn.y
    # Weights of the second and third corner are linear over the screen: gather their coefficients.
    slopes = [(y2 - y0) / drawn.area, (x2 - x0) / drawn.area, (x1 - x0) / drawn.area, (y1 - y0) / drawn.area]
    table = np.stack([x0, y0, *slopes, *drawn.nearness]).astype(np.float32)
    at_x, at_y, second_x, second_y, third_y, third_x, *near = np.take(table, visible, axis=1)
    row, column = np.divmod(samples, size)
    dx, dy = (column + 0.5).astype(np.float32) - at_x, (row + 0.5).astype(np.float32) - at_y
    second, third = dx * second_x - dy * second_y, dy * third_y - dx * third_x
    first = (1 - second - third) * near[0]
    second *= near[1]
    third *= near[2]
    depth = 1 / (first + second + third)
    return np.stack([first * depth, second * depth, third * depth], 1), depth
