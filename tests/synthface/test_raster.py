"""The rasteriser finds the nearest triangle at every sample."""

from __future__ import annotations

import numpy as np
import pytest

from facebench.synthface.raster import rasterise

SQUARE = np.array([[0.0, 0.0], [0.0, 8.0], [8.0, 8.0], [8.0, 0.0]])
HALVES = np.array([[0, 1, 2], [0, 2, 3]])


def test_adjacent_triangles_cover_every_sample_once() -> None:
    hits = rasterise(SQUARE, np.ones(4), HALVES, 8)
    assert hits.samples.tolist() == list(range(64))
    assert set(hits.triangles.tolist()) == {0, 1}


def test_the_nearer_triangle_is_visible_in_any_order() -> None:
    points, depth = np.concatenate([SQUARE, SQUARE]), np.array([2.0] * 4 + [1.0] * 4)
    for order in (np.concatenate([HALVES, HALVES + 4]), np.concatenate([HALVES + 4, HALVES])):
        hits = rasterise(points, depth, order, 8)
        assert np.all(order[hits.triangles] >= 4)
        np.testing.assert_allclose(hits.depth, 1.0, rtol=1e-6)


def test_back_faces_are_culled_unless_two_sided() -> None:
    away = HALVES[:, ::-1]
    assert len(rasterise(SQUARE, np.ones(4), away, 8).samples) == 0
    assert len(rasterise(SQUARE, np.ones(4), away, 8, two_sided=True).samples) == 64


def test_weights_are_perspective_correct() -> None:
    depth = np.array([1.0, 1.0, 4.0, 4.0])  # the right edge is four times as far away
    hits = rasterise(SQUARE, depth, HALVES, 8)
    np.testing.assert_allclose(hits.weights.sum(1), 1, rtol=1e-5)
    across = np.array([0.0, 0.0, 1.0, 1.0])
    value = (across[HALVES[hits.triangles]] * hits.weights).sum(1)
    share = (hits.samples % 8 + 0.5) / 8
    # At screen position s between the depths 1 and 4, the surface coordinate is s/4 / (s/4 + (1 - s)).
    np.testing.assert_allclose(value, share / 4 / (share / 4 + 1 - share), atol=1e-6)
    np.testing.assert_allclose(1 / hits.depth, 1 - share * 0.75, rtol=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_random_triangles_agree_with_a_brute_force_search(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points, depth = rng.uniform(-4, 36, (30, 2)), rng.uniform(1, 2, 30)
    triangles = rng.integers(0, 30, (40, 3))
    hits = rasterise(points, depth, triangles, 32, two_sided=True)
    nearest = np.full(32 * 32, -1)
    closeness = np.zeros(32 * 32)
    at = np.stack([np.arange(1024) % 32 + 0.5, np.arange(1024) // 32 + 0.5], 1)
    for number, (a, b, c) in enumerate(triangles):
        matrix = np.array([points[b] - points[a], points[c] - points[a]]).T
        if abs(np.linalg.det(matrix)) < 1e-9:
            continue
        second, third = np.linalg.solve(matrix, (at - points[a]).T)
        weights = np.stack([1 - second - third, second, third])
        inside = (weights > 0).all(0)
        near = (weights / depth[[a, b, c]][:, None]).sum(0)
        better = inside & (near > closeness)
        nearest[better], closeness[better] = number, near[better]
    assert hits.samples.tolist() == np.flatnonzero(nearest >= 0).tolist()
    assert hits.triangles.tolist() == nearest[nearest >= 0].tolist()


def test_nothing_in_view_gives_no_hits() -> None:
    assert len(rasterise(SQUARE + 100, np.ones(4), HALVES, 8).samples) == 0
