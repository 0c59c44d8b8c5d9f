"""FLAME head model: from codes to a posed mesh.

    T(β, ψ, θ) = T̄ + S β + E ψ + P vec(R(θ) − I)          template with shape, expression and pose correctives
    J(β, ψ)    = 𝒥 (T̄ + S β + E ψ)                         joints at rest
    v_i        = Σ_j w_ij G_j(θ, J) T_i                     linear blend skinning

G_j is the movement of joint j from rest to pose, composed along the chain of its parents.

Source: Li et al. 2017, "Learning a model of facial shape and expression from 4D scans", eq. 1 to 4, after Loper et
al. 2015, "SMPL".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Ints = NDArray[np.int64]

SHAPES, EXPRESSIONS = 100, 50
"""Numbers of shape and expression directions that DECA and EMOCA use."""
ROOT, NECK, JAW, EYE, OTHER_EYE = range(5)
PARENTS = (-1, ROOT, NECK, NECK, NECK)
"""Parents of the five joints: whole head, neck, jaw, two eyeballs."""


@dataclass(frozen=True)
class Flame:
    """Head model with v vertices, f triangles and j joints, in metres.

    Attributes:
        template: (v, 3) mean head at rest, T̄.
        faces: (f, 3) vertices of the triangles, counter-clockwise seen from outside.
        shapes: (v, 3, s) displacement per standard deviation of each shape code, S.
        expressions: (v, 3, e) displacement per standard deviation of each expression code, E.
        correctives: (v, 3, 9 (j − 1)) displacement per entry of R − I of all joints but the first, P.
        regressor: (j, v) joints as weighted means of the vertices at rest, 𝒥.
        weights: (v, j) influence of each joint on each vertex, w; rows sum to 1.
        parents: (j,) parent of each joint, −1 for the first; a joint comes after its parent.
    """

    template: Floats
    faces: Ints
    shapes: Floats
    expressions: Floats
    correctives: Floats
    regressor: Floats
    weights: Floats
    parents: tuple[int, ...] = PARENTS

    def vertices(self, shape: Floats, expression: Floats, pose: Floats) -> tuple[Floats, Floats]:
        """Pose the mesh.

        Args:
            shape: (s,) codes β.
            expression: (e,) codes ψ.
            pose: (j, 3) rotation of each joint as axis times angle in radians, θ.

        Returns:
            Vertices (v, 3) and joints (j, 3).
        """
        resting = self.template + self.shapes @ shape + self.expressions @ expression
        joints = self.regressor @ resting
        turns = rotations(pose)
        corrected = resting + self.correctives @ (turns[1:] - np.eye(3)).reshape(-1)
        movements, positions = self._chained(turns, joints)
        blended = np.tensordot(self.weights, movements, axes=1)
        return np.einsum("vab,vb->va", blended[:, :, :3], corrected) + blended[:, :, 3], positions

    def _chained(self, turns: Floats, joints: Floats) -> tuple[Floats, Floats]:
        """Movements G of the joints, (j, 3, 4) from rest to pose, and their posed positions (j, 3)."""
        positions, total = [joints[0]], [turns[0]]
        for joint, parent in list(enumerate(self.parents))[1:]:
            positions.append(positions[parent] + total[parent] @ (joints[joint] - joints[parent]))
            total.append(total[parent] @ turns[joint])
        rotation, position = np.stack(total), np.stack(positions)
        shifts = position - np.einsum("jab,jb->ja", rotation, joints)
        return np.concatenate([rotation, shifts[:, :, None]], axis=2), position


def full_pose(pose: Floats) -> Floats:
    """Expand DECA's six pose codes, rotations of the head and of the jaw, to FLAME's five joints (5, 3)."""
    joints = np.zeros((len(PARENTS), 3))
    joints[ROOT], joints[JAW] = pose[:3], pose[3:]
    return joints


def rotations(vectors: Floats) -> Floats:
    """Rotation matrices (n, 3, 3) of axis-angle vectors (n, 3), by Rodrigues' formula.

        R = I + sin(a) K + (1 − cos(a)) K²,   a = ‖v‖,   K = cross-product matrix of v / a

    Example:
        >>> turned = rotations(np.array([[0.0, 0.0, np.pi / 2]]))[0] @ [1, 0, 0]
        >>> [round(float(value), 6) + 0 for value in turned]
        [0.0, 1.0, 0.0]
    """
    vectors = np.asarray(vectors, np.float64)
    angle = np.sqrt((vectors**2).sum(axis=1, keepdims=True))
    x, y, z = np.divide(vectors, angle, out=np.zeros_like(vectors), where=angle > 0).T
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=1).reshape(-1, 3, 3)
    sine, cosine = np.sin(angle)[:, :, None], np.cos(angle)[:, :, None]
    return np.asarray(np.eye(3) + sine * cross + (1 - cosine) * (cross @ cross))
