"""FLAME head model: skinning against an independent computation, and the joints."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from facebench.training.rig.buffers.flame import Flame, full_pose


def pose_one_vertex(content: dict[str, Any], number: int, betas: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """Pose a single vertex with 4 x 4 matrices and SciPy's rotations, one joint after the other."""
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
    corrected = resting[number].copy()
    for entry, value in enumerate(np.concatenate([(turn - np.eye(3)).ravel() for turn in turns[1:]])):
        corrected += content["posedirs"][number, :, entry].astype(float) * value
    posed = np.zeros(4)
    for joint in range(5):
        to_joint = np.eye(4)
        to_joint[:3, 3] = -joints[joint]
        posed += content["weights"][number, joint] * (world[joint] @ to_joint @ [*corrected, 1.0])
    return posed[:3]


def test_skinning_equals_an_independent_computation(content: dict[str, Any], flame: Flame) -> None:
    rng = np.random.default_rng(1)
    betas, pose = rng.normal(0, 1, 150), rng.normal(0, 0.4, (5, 3))
    vertices, _ = flame.vertices(betas[:100], betas[100:], pose)
    for number in (0, 7, 2500, 5022):
        expected = pose_one_vertex(content, number, betas, pose)
        np.testing.assert_allclose(vertices[number], expected, atol=1e-12)


def test_without_pose_the_mesh_is_the_shaped_template(content: dict[str, Any], flame: Flame) -> None:
    shape = np.zeros(100)
    shape[3] = 2.0
    vertices, _ = flame.vertices(shape, np.zeros(50), np.zeros((5, 3)))
    expected = content["v_template"] + 2.0 * content["shapedirs"][:, :, 3]
    np.testing.assert_allclose(vertices, expected, atol=1e-9)


def test_rotating_the_root_moves_the_head_rigidly_about_the_first_joint(flame: Flame) -> None:
    resting, joints = flame.vertices(np.zeros(100), np.zeros(50), np.zeros((5, 3)))
    turn = np.array([0.3, -0.5, 0.2])
    turned, _ = flame.vertices(np.zeros(100), np.zeros(50), full_pose(np.concatenate([turn, np.zeros(3)])))
    expected = Rotation.from_rotvec(turn).apply(resting - joints[0]) + joints[0]
    np.testing.assert_allclose(turned, expected, atol=1e-9)


def test_the_jaw_is_the_third_joint(flame: Flame) -> None:
    assert full_pose(np.arange(6.0)).tolist() == [[0, 1, 2], [0, 0, 0], [3, 4, 5], [0, 0, 0], [0, 0, 0]]
