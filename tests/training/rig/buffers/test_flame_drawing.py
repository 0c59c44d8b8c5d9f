"""Renderer of a FLAME head: texture sampling, light, camera, normals and transfers of codes."""

from __future__ import annotations

import numpy as np
import pytest

from facebench.training.rig.buffers.flame import Flame, full_pose
from facebench.training.rig.buffers.flame_codes import Codes
from facebench.training.rig.buffers.flame_drawing import FlameSpace, sampled, shading, vertex_normals
from facebench.training.rig.buffers.flame_files import Texture
from tests.helpers import flame_like


def test_a_texture_is_interpolated_between_texel_centres() -> None:
    texture = np.zeros((4, 4, 3), np.float32)
    texture[0, 1], texture[0, 2] = 1.0, 3.0
    coordinates = np.array([[1.5 / 4, 1 - 0.5 / 4], [2 / 4, 1 - 0.5 / 4], [0.5 / 4, 0.5 / 4]])
    np.testing.assert_allclose(sampled(texture, coordinates)[:, 0], [1.0, 2.0, 0.0], atol=1e-12)


def test_shading_equals_the_closed_formula() -> None:
    rng = np.random.default_rng(0)
    normal, light = rng.normal(size=(5, 3)), rng.normal(size=(9, 3))
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    x, y, z = normal.T
    # Lambertian factors of the real spherical harmonics: π, 2π/3, π/4 per band. DECA omits the π of the first band.
    bands = [
        np.pi * 0.282095 / np.pi * np.ones(5), 2.094395 * 0.488603 * x, 2.094395 * 0.488603 * y,
        2.094395 * 0.488603 * z, 0.785398 * 1.092548 * x * y, 0.785398 * 1.092548 * x * z,
        0.785398 * 1.092548 * y * z, 0.785398 * 0.546274 * (x**2 - y**2), 0.785398 * 0.315392 * (3 * z**2 - 1),
    ]  # fmt: skip
    expected = sum(band[:, None] * row for band, row in zip(bands, light, strict=True))
    np.testing.assert_allclose(shading(normal, light), expected, rtol=2e-5, atol=1e-5)


def ball(
    flame: Flame, cam: tuple[float, float, float], square: tuple[float, float, float]
) -> tuple[FlameSpace, Codes]:
    """A grey ball of radius 0.1 under ambient light of 0.8."""
    grey = Texture(
        np.full((256, 256, 3), 0.5, np.float32),
        np.zeros((256, 256, 3, 50), np.float32),
        np.full((9976, 3, 2), 0.5),
    )
    light = np.zeros((1, 9, 3))
    light[0, 0] = 0.8 * np.sqrt(4 * np.pi)
    codes: Codes = {
        "shape": np.zeros((1, 100)), "tex": np.zeros((1, 50)), "exp": np.zeros((1, 50)), "pose": np.zeros((1, 6)),
        "cam": np.array([cam]), "light": light, "square": np.array([square]),
    }  # fmt: skip
    return FlameSpace(flame, grey), codes


def test_the_camera_sets_position_and_size_of_the_head(flame: Flame) -> None:
    # Radius 0.1 at scale 5 fills half of the crop. The crop is the right half of the photo; the ball is 0.02 above.
    space, codes = ball(flame, (5.0, 0.0, 0.02), (0.5, 0.25, 0.5))
    buffers = space.draw(codes, 64)
    rows, columns = np.nonzero(buffers.albedo[:, :, 0])
    unit = 64 * 0.5 * 224 / 223
    assert columns.mean() + 0.5 == pytest.approx(32 + unit / 2, abs=0.6)
    assert rows.mean() + 0.5 == pytest.approx(16 + unit / 2 * (1 - 0.1), abs=0.6)
    assert len(rows) == pytest.approx(np.pi * (unit / 4) ** 2, rel=0.05)
    inside = buffers.albedo[:, :, 0] > 0
    np.testing.assert_allclose(buffers.albedo[inside], 0.5, atol=1e-6)
    np.testing.assert_allclose(buffers.rendered[inside], 0.4, atol=1e-6)
    assert not buffers.normal[~inside].any()


def test_normals_point_right_up_and_towards_the_viewer(flame: Flame) -> None:
    space, codes = ball(flame, (8.0, 0.0, 0.0), (0.0, 0.0, 1.0))
    normal = space.draw(codes, 96).normal
    middle, reach = 48, 28
    assert normal[middle, middle, 2] > 0.97
    assert normal[middle, middle + reach, 0] > 0.6
    assert normal[middle - reach, middle, 1] > 0.6
    vertices, faces = flame_like.sphere()
    assert ((vertex_normals(vertices, faces) * vertices).sum(1) / 0.1)[faces.ravel()].mean() > 0.98


def test_a_transfer_replaces_the_codes_of_its_kind_only(flame: Flame) -> None:
    space, onto = ball(flame, (5.0, 0.0, 0.0), (0.0, 0.0, 1.0))
    rng = np.random.default_rng(0)
    of: Codes = {name: array + rng.normal(0, 0.2, array.shape) for name, array in onto.items()}
    smiling = space.transferred(onto, of, "expression")
    changed = [name for name in onto if not np.array_equal(smiling[name], onto[name])]
    assert changed == ["exp", "pose"]
    assert np.array_equal(smiling["pose"][:, :3], onto["pose"][:, :3])
    assert np.array_equal(smiling["pose"][:, 3:], of["pose"][:, 3:])
    lit = space.transferred(onto, of, "light")
    assert [name for name in onto if not np.array_equal(lit[name], onto[name])] == ["light"]


def test_a_transfer_of_pose_keeps_the_midpoint_of_the_eyes(flame: Flame) -> None:
    space, onto = ball(flame, (5.0, 0.0, 0.0), (0.0, 0.0, 1.0))
    rng = np.random.default_rng(0)
    of: Codes = {name: array + rng.normal(0, 0.2, array.shape) for name, array in onto.items()}
    turned = space.transferred(onto, of, "pose")
    assert np.array_equal(turned["pose"][:, :3], of["pose"][:, :3])
    midpoints = []
    for codes in (onto, turned):
        _, joints = flame.vertices(codes["shape"][0], codes["exp"][0], full_pose(codes["pose"][0]))
        midpoints.append((joints[3] + joints[4])[:2] / 2 + codes["cam"][0, 1:])
    np.testing.assert_allclose(midpoints[0], midpoints[1], atol=1e-12)
