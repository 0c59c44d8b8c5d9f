"""The FLAME head: its file, its skinning, its picture."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from facebench.core.errors import WeightsError
from facebench.training.rig.buffers.flame import Flame, full_pose
from facebench.training.rig.buffers.flame_codes import Codes
from facebench.training.rig.buffers.flame_drawing import FlameSpace, sampled, shading, vertex_normals
from facebench.training.rig.buffers.flame_files import Texture, read_flame, read_texture
from tests.helpers import flame_like


@pytest.fixture(scope="module")
def content() -> dict[str, Any]:
    return flame_like.arrays()


@pytest.fixture(scope="module")
def flame(content: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Flame:
    return read_flame(flame_like.save(tmp_path_factory.mktemp("flame") / "generic_model.pkl", content))


def one_vertex(content: dict[str, Any], number: int, betas: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """A single posed vertex, computed with 4 x 4 matrices and SciPy's rotations, one joint after the other."""
    shapedirs = np.concatenate(
        [content["shapedirs"][:, :, :100], content["shapedirs"][:, :, 300:350]], axis=2
    )
    resting = content["v_template"] + shapedirs.astype(float) @ betas
    joints = np.asarray(content["J_regressor"].todense()) @ resting
    turns = [Rotation.from_rotvec(vector).as_matrix() for vector in pose]
    world: list[np.ndarray] = []
    for joint, parent in enumerate((None, 0, 1, 1, 1)):
        local = np.eye(4)
        local[:3, :3] = turns[joint]
        local[:3, 3] = joints[joint] if parent is None else joints[joint] - joints[parent]
        world.append(local if parent is None else world[parent] @ local)
    bent = resting[number].copy()
    for entry, value in enumerate(np.concatenate([(turn - np.eye(3)).ravel() for turn in turns[1:]])):
        bent += content["posedirs"][number, :, entry].astype(float) * value
    posed = np.zeros(4)
    for joint in range(5):
        back = np.eye(4)
        back[:3, 3] = -joints[joint]
        posed += content["weights"][number, joint] * (world[joint] @ back @ [*bent, 1.0])
    return posed[:3]


def test_skinning_equals_an_independent_computation(content: dict[str, Any], flame: Flame) -> None:
    rng = np.random.default_rng(1)
    betas, pose = rng.normal(0, 1, 150), rng.normal(0, 0.4, (5, 3))
    vertices, _ = flame.vertices(betas[:100], betas[100:], pose)
    for number in (0, 7, 2500, 5022):
        np.testing.assert_allclose(vertices[number], one_vertex(content, number, betas, pose), atol=1e-12)


def test_at_rest_only_the_shape_counts(content: dict[str, Any], flame: Flame) -> None:
    shape = np.zeros(100)
    shape[3] = 2.0
    vertices, _ = flame.vertices(shape, np.zeros(50), np.zeros((5, 3)))
    expected = content["v_template"] + 2.0 * content["shapedirs"][:, :, 3]
    np.testing.assert_allclose(vertices, expected, atol=1e-9)


def test_turning_the_whole_head_moves_it_rigidly_about_its_first_joint(flame: Flame) -> None:
    resting, joints = flame.vertices(np.zeros(100), np.zeros(50), np.zeros((5, 3)))
    turn = np.array([0.3, -0.5, 0.2])
    turned, _ = flame.vertices(np.zeros(100), np.zeros(50), full_pose(np.concatenate([turn, np.zeros(3)])))
    expected = Rotation.from_rotvec(turn).apply(resting - joints[0]) + joints[0]
    np.testing.assert_allclose(turned, expected, atol=1e-9)


def test_the_jaw_is_the_third_joint(flame: Flame) -> None:
    assert full_pose(np.arange(6.0)).tolist() == [[0, 1, 2], [0, 0, 0], [3, 4, 5], [0, 0, 0], [0, 0, 0]]


class Evil:
    """What an attacker would put into a pickle."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(Path(os.environ["EVIL"]) / "was here"),)


def test_a_pickle_with_code_is_refused_and_the_code_does_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVIL", str(tmp_path))
    path = tmp_path / "generic_model.pkl"
    path.write_bytes(pickle.dumps({"v_template": Evil()}, protocol=2))
    with pytest.raises(WeightsError, match=r"it would call (posix|nt)\.mkdir when loaded"):
        read_flame(path)
    assert not (tmp_path / "was here").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"v_template": np.zeros((6890, 3))},
            r"'v_template' has shape \(6890, 3\); FLAME 2020's has \(5023, 3\)",
        ),
        ({"shapedirs": np.zeros((5023, 3, 10), np.float32)}, r"'shapedirs' has shape \(5023, 3, 10\)"),
        ({"kintree_table": np.zeros((2, 5), int)}, "its joints hang on"),
        ({"weights": "none"}, "'weights' holds no numbers"),
        ({"f": np.full((9976, 3), 6000)}, "a triangle names a vertex that is not there"),
    ],
)
def test_another_version_is_refused_with_what_differs(
    content: dict[str, Any], change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(WeightsError, match=message):
        read_flame(flame_like.save(tmp_path / "model.pkl", content | change))


def test_a_file_cut_off_or_without_an_array_is_refused(content: dict[str, Any], tmp_path: Path) -> None:
    path = flame_like.save(tmp_path / "model.pkl", content)
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(WeightsError, match="is refused"):
        read_flame(path)
    short = {name: value for name, value in content.items() if name != "posedirs"}
    with pytest.raises(WeightsError, match="lacks 'posedirs'"):
        read_flame(flame_like.save(path, short))


def test_the_texture_is_read_blue_first_and_every_second_texel(tmp_path: Path) -> None:
    path = flame_like.texture(tmp_path / "FLAME_texture.npz")
    read = read_texture(path)
    with np.load(path) as file:
        expected = (file["mean"][10, 20] + file["tex_dir"][10, 20, :, 0].astype(float) * 3)[::-1] / 255
    codes = np.zeros(50)
    codes[0] = 3
    np.testing.assert_allclose(read.painted(codes)[5, 10], expected, atol=1e-6)
    np.savez(
        path, mean=np.zeros((256, 256, 3)), tex_dir=np.zeros(1), vt=np.zeros((1, 2)), ft=np.zeros((9976, 3))
    )
    with pytest.raises(WeightsError, match=r"'mean' has shape \(256, 256, 3\)"):
        read_texture(path)


def test_a_texture_is_sampled_between_the_centres_of_its_texels() -> None:
    texture = np.zeros((4, 4, 3), np.float32)
    texture[0, 1], texture[0, 2] = 1.0, 3.0
    places = np.array([[1.5 / 4, 1 - 0.5 / 4], [2 / 4, 1 - 0.5 / 4], [0.5 / 4, 0.5 / 4]])
    np.testing.assert_allclose(sampled(texture, places)[:, 0], [1.0, 2.0, 0.0], atol=1e-12)


def test_light_is_that_of_the_closed_formula() -> None:
    rng = np.random.default_rng(0)
    normal, light = rng.normal(size=(5, 3)), rng.normal(size=(9, 3))
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    x, y, z = normal.T
    # Lambert's transfer of the real spherical harmonics: pi, 2 pi / 3, pi / 4 per band.
    bands = [
        np.pi * 0.282095 / np.pi * np.ones(5), 2.094395 * 0.488603 * x, 2.094395 * 0.488603 * y,
        2.094395 * 0.488603 * z, 0.785398 * 1.092548 * x * y, 0.785398 * 1.092548 * x * z,
        0.785398 * 1.092548 * y * z, 0.785398 * 0.546274 * (x**2 - y**2), 0.785398 * 0.315392 * (3 * z**2 - 1),
    ]  # fmt: skip
    expected = sum(band[:, None] * row for band, row in zip(bands, light, strict=True))
    # DECA scales the three bands so; its constant term leaves out the factor pi, which its light absorbs.
    np.testing.assert_allclose(shading(normal, light), expected, rtol=2e-5, atol=1e-5)


def ball(
    flame: Flame, cam: tuple[float, float, float], square: tuple[float, float, float]
) -> tuple[FlameSpace, Codes]:
    paint = Texture(
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
    return FlameSpace(flame, paint), codes


def test_a_ball_is_drawn_where_and_as_large_as_the_camera_says(flame: Flame) -> None:
    # Radius 0.1, scale 5: half of the crop, which is the right half of the photo, moved up by 0.02.
    space, codes = ball(flame, (5.0, 0.0, 0.02), (0.5, 0.25, 0.5))
    planes = space.draw(codes, 64)
    rows, columns = np.nonzero(planes.albedo[:, :, 0])
    unit = 64 * 0.5 * 224 / 223
    assert columns.mean() + 0.5 == pytest.approx(32 + unit / 2, abs=0.6)
    assert rows.mean() + 0.5 == pytest.approx(16 + unit / 2 * (1 - 0.1), abs=0.6)
    assert len(rows) == pytest.approx(np.pi * (unit / 4) ** 2, rel=0.05)
    inside = planes.albedo[:, :, 0] > 0
    np.testing.assert_allclose(planes.albedo[inside], 0.5, atol=1e-6)
    np.testing.assert_allclose(planes.rendered[inside], 0.4, atol=1e-6)
    assert not planes.normal[~inside].any()


def test_normals_point_right_up_and_towards_the_viewer(flame: Flame) -> None:
    space, codes = ball(flame, (8.0, 0.0, 0.0), (0.0, 0.0, 1.0))
    normal = space.draw(codes, 96).normal
    middle, reach = 48, 28
    assert normal[middle, middle, 2] > 0.97
    assert normal[middle, middle + reach, 0] > 0.6
    assert normal[middle - reach, middle, 1] > 0.6
    vertices, faces = flame_like.sphere()
    assert ((vertex_normals(vertices, faces) * vertices).sum(1) / 0.1)[faces.ravel()].mean() > 0.98


def test_expression_light_and_pose_are_taken_from_the_other_face(flame: Flame) -> None:
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
    turned = space.transferred(onto, of, "pose")
    assert np.array_equal(turned["pose"][:, :3], of["pose"][:, :3])
    eyes = []
    for codes in (onto, turned):
        _, joints = flame.vertices(codes["shape"][0], codes["exp"][0], full_pose(codes["pose"][0]))
        eyes.append((joints[3] + joints[4])[:2] / 2 + codes["cam"][0, 1:])
    np.testing.assert_allclose(eyes[0], eyes[1], atol=1e-12)
