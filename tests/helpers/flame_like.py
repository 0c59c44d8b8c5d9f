"""A model with FLAME's structure and without its licence: a sphere with random directions, in FLAME's file format."""

from __future__ import annotations

import pickle
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
from scipy.spatial import ConvexHull

VERTICES, TRIANGLES = 5023, 9976


def sphere() -> tuple[np.ndarray, np.ndarray]:
    """5023 points on a sphere of the size of a head, and 9976 triangles, counter-clockwise from outside."""
    turn = np.pi * (3 - np.sqrt(5)) * np.arange(VERTICES)
    height = 1 - 2 * (np.arange(VERTICES) + 0.5) / VERTICES
    ring = np.sqrt(1 - height**2)
    points = np.stack([ring * np.cos(turn), height, ring * np.sin(turn)], axis=1)
    faces = ConvexHull(points).simplices.astype(np.int64)
    a, b, c = (points[faces[:, corner]] for corner in range(3))
    inwards = (np.cross(b - a, c - a) * a).sum(axis=1) < 0
    faces[inwards] = faces[inwards][:, ::-1]
    # The neck is open, as FLAME's is.
    order = np.argsort(-points[faces].mean(axis=1)[:, 1])
    return points * 0.1, faces[order[:TRIANGLES]]


def arrays(seed: int = 0) -> dict[str, Any]:
    """All arrays of FLAME's generic model, by name."""
    rng = np.random.default_rng(seed)
    points, faces = sphere()
    near = 1 / np.linalg.norm(points[:, None] - rng.normal(0, 0.05, (1, 5, 3)), axis=2)
    chosen = np.zeros((5, VERTICES))
    for joint in range(5):
        chosen[joint, rng.choice(VERTICES, 20, replace=False)] = 1 / 20
    return {
        "v_template": points,
        "f": faces.astype(np.uint32),
        "shapedirs": rng.normal(0, 5e-4, (VERTICES, 3, 400)).astype(np.float32),
        "posedirs": rng.normal(0, 5e-4, (VERTICES, 3, 36)).astype(np.float32),
        "J_regressor": scipy.sparse.csc_matrix(chosen),
        "weights": near / near.sum(axis=1, keepdims=True),
        "kintree_table": np.array([[2**32 - 1, 0, 1, 1, 1], [0, 1, 2, 3, 4]]),
    }


def save(path: Path, content: dict[str, Any]) -> Path:
    """Pickle it in the published format: protocol 2, arrays of Chumpy's class, which is not installed."""
    module, kind = types.ModuleType("chumpy.ch"), type("Ch", (), {"__module__": "chumpy.ch"})
    module.Ch = kind  # type: ignore[attr-defined]
    wrapped = dict(content)
    for name in ("v_template", "shapedirs"):
        if name in content:
            wrapped[name] = kind()
            wrapped[name].x = content[name]
    before = {name: sys.modules.get(name) for name in ("chumpy", "chumpy.ch")}
    sys.modules |= {"chumpy": types.ModuleType("chumpy"), "chumpy.ch": module}
    try:
        path.write_bytes(pickle.dumps(wrapped, protocol=2))
    finally:
        for name, found in before.items():
            if found is None:
                del sys.modules[name]
            else:
                sys.modules[name] = found
    return path


def texture(path: Path, seed: int = 0) -> Path:
    """A texture with FLAME's structure: colours depend on the position on the sphere."""
    rng = np.random.default_rng(seed)
    points, faces = sphere()
    u = np.arctan2(points[:, 0], points[:, 2]) / (2 * np.pi) + 0.5
    v = points[:, 1] / 0.2 + 0.5
    down, right = np.mgrid[0:512, 0:512] / 511
    mean = np.stack([60 + 40 * right, 110 + 30 * down, np.full_like(down, 180)], axis=2)
    # The real file holds 200 directions, of which 50 are used.
    directions = np.zeros((512, 512, 3, 50), np.float16)
    directions[:] = rng.normal(0, 1, 50)
    np.savez(path, mean=mean, tex_dir=directions, vt=np.stack([u, v], axis=1), ft=faces)
    return path
