"""The FLAME head: from codes to a posed mesh, by blend shapes and linear blend skinning with pose correctives.

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
"""Directions that DECA and EMOCA use."""
ROOT, NECK, JAW, EYE, OTHER_EYE = range(5)
PARENTS = (-1, ROOT, NECK, NECK, NECK)
"""Of the five joints: the whole head, neck, jaw, two eyeballs."""


@dataclass(frozen=True)
class Flame:
    """A head model of v vertices, f triangles, j joints, in metres.

    Attributes:
        template: (v, 3) the mean head at rest.
        faces: (f, 3) vertices of the triangles, counter-clockwise from outside.
        shapes: (v, 3, s) displacement for one deviation of every shape code.
        expressions: (v, 3, e) the same of every expression code.
        correctives: (v, 3, 9 (j - 1)) displacement per entry of the rotation matrices (minus identity) of all
            joints but the first.
        regressor: (j, v) joints as weighted means of vertices at rest.
        weights: (v, j) how much every joint moves every vertex; rows sum to 1.
        parents: (j,) joint above every joint, -1 for the first; a joint comes after its parent.
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
            shape: (s,) codes.
            expression: (e,) codes.
            pose: (j, 3) rotation of every joint as axis times angle in radians.

        Returns:
            Vertices (v, 3) and joints (j, 3).
        """
        resting = self.template + self.shapes @ shape + self.expressions @ expression
        joints = self.regressor @ resting
        turns = rotations(pose)
        bent = resting + self.correctives @ (turns[1:] - np.eye(3)).reshape(-1)
        moves, places = self._chained(turns, joints)
        # Every vertex moves by the weighted mean of the joints' movements.
        blended = np.tensordot(self.weights, moves, axes=1)
        return np.einsum("vab,vb->va", blended[:, :, :3], bent) + blended[:, :, 3], places

    def _chained(self, turns: Floats, joints: Floats) -> tuple[Floats, Floats]:
        """Movement of each joint, (j, 3, 4) from rest to pose, and the joints' places (j, 3)."""
        places, whole = [joints[0]], [turns[0]]
        for joint, parent in list(enumerate(self.parents))[1:]:
            places.append(places[parent] + whole[parent] @ (joints[joint] - joints[parent]))
            whole.append(whole[parent] @ turns[joint])
        turned, placed = np.stack(whole), np.stack(places)
        shifts = placed - np.einsum("jab,jb->ja", turned, joints)
        return np.concatenate([turned, shifts[:, :, None]], axis=2), placed


def full_pose(pose: Floats) -> Floats:
    """DECA's six pose numbers, the whole head's rotation and the jaw's, as rotations of FLAME's five joints."""
    joints = np.zeros((len(PARENTS), 3))
    joints[ROOT], joints[JAW] = pose[:3], pose[3:]
    return joints


def rotations(vectors: Floats) -> Floats:
    """Rotation matrices (n, 3, 3) of axis-angle vectors (n, 3), by Rodrigues' formula.

    Example:
        >>> turned = rotations(np.array([[0.0, 0.0, np.pi / 2]]))[0] @ [1, 0, 0]
        >>> [round(float(value), 6) + 0 for value in turned]
        [0.0, 1.0, 0.0]
    """
    vectors = np.asarray(vectors, np.float64)
    angle = np.sqrt((vectors**2).sum(axis=1, keepdims=True))
    x, y, z = np.divide(vectors, angle, out=np.zeros_like(vectors), where=angle > 0).T
    none = np.zeros_like(x)
    cross = np.stack([none, -z, y, z, none, -x, -y, x, none], axis=1).reshape(-1, 3, 3)
    sine, cosine = np.sin(angle)[:, :, None], np.cos(angle)[:, :, None]
    return np.asarray(np.eye(3) + sine * cross + (1 - cosine) * (cross @ cross))
