"""Posed mesh of a face, projected to the image plane."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facebench.synthface import head as heads
from facebench.synthface.head import Head
from facebench.synthface.parameters import Parameters

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

PIVOT = np.array([0.0, -0.085, -0.085], np.float32)  # joint of skull and neck
CENTRE = np.array([0.0, -0.020, 0.0], np.float32)  # target of the camera
TORSO = 0.3  # rotation of the shoulders as a fraction of that of the head


@dataclass(frozen=True)
class Topology:
    """Triangles and constant vertex attributes shared by all faces.

    A vertex at a seam of the painted fields is split into two points, so that every point has unique texture
    coordinates.

    Attributes:
        source: (r,) mesh vertex (head, then hair shell) of every point; points of the shell come last, in order.
        faces: (f, 3) points of the opaque triangles: the head without lashes, then the inner side of the shell.
        parts: (f,) part numbers.
        fixed: (r, 7) openness to the sky, garment, column and row in the fields, position on the eyeball.
        over: (g, 3) points of the translucent triangles: the outer side of the shell, then the lashes.
        over_lash: (g,) bool, true for lashes, which are two-sided.
        over_fixed: (r, 4) position on the hair shell; for lashes, the first column is the length.
    """

    source: Ints
    faces: Ints
    parts: NDArray[np.uint8]
    fixed: Floats
    over: Ints
    over_lash: NDArray[np.bool_]
    over_fixed: Floats


@cache
def topology() -> Topology:
    """Return the topology shared by all faces."""
    head = heads.load()
    corners = np.concatenate([head.faces.reshape(-1, 1), head.texel.reshape(-1, 2)], 1)
    points, index = np.unique(corners, axis=0, return_inverse=True)
    faces, vertex = index.reshape(-1, 3), points[:, 0].astype(np.int64)
    shell = np.arange(len(head.hair_anchor))
    outer, lash = head.hair_faces + len(vertex), head.parts == heads.LASHES
    fixed = np.concatenate([head.occlusion[:, None], head.garment[:, None], head.eye_place], 1)[vertex]
    inner = np.tile(np.array([0.35, -1, 0.5, 0.5, 0, 0, 0], np.float32), (len(shell), 1))
    length = np.zeros((len(vertex), 4), np.float32)
    length[:, 0] = head.lash[vertex]
    return Topology(
        source=np.concatenate([vertex, shell + len(head.mean)]),
        faces=np.concatenate([faces[~lash], outer[:, ::-1]]),
        parts=np.concatenate([head.parts[~lash], np.full(len(outer), heads.HAIR_INSIDE, np.uint8)]),
        fixed=np.concatenate([np.insert(fixed, [2, 2], points[:, 1:], 1), inner]).astype(np.float32),
        over=np.concatenate([outer, faces[lash]]),
        over_lash=np.repeat([False, True], [len(outer), int(lash.sum())]),
        over_fixed=np.concatenate([length, head.hair_place]).astype(np.float32),
    )


@dataclass(frozen=True)
class Mesh:
    """A posed face.

    Attributes:
        xyz: (v + s, 3) vertices of head and hair shell in metres.
        normals: (v + s, 3) unit normals in camera space: x right, y up, z towards the viewer.
        screen: (v + s, 2) positions as fractions of the image side, x right, y down, origin at the upper left.
        depth: (v + s,) metres from the camera along its axis.
        hairy: (s,) metres above the hairline at the vertices of the shell; positive where hair grows.
    """

    xyz: Floats
    normals: Floats
    screen: Floats
    depth: Floats
    hairy: Floats


def build(parameters: Parameters, row: int) -> Mesh:
    """Build the posed mesh of one face of a set."""
    head = heads.load()
    rest = at_rest(parameters, row)
    psi = parameters.psi[row]
    active = np.flatnonzero(psi)
    deformed = rest + (psi[active] @ head.expression[active]).reshape(-1, 3) if len(active) else rest
    shell, hairy = _shell(head, rest, parameters.hair[row])
    head_turn = rotation(parameters.pose[row])
    torso_turn = rotation(parameters.pose[row] * TORSO)
    with_head, with_torso = (deformed - PIVOT) @ head_turn.T, (deformed - PIVOT) @ torso_turn.T
    posed = with_torso + (with_head - with_torso) * head.follows
    xyz = np.concatenate([posed, (shell - PIVOT) @ head_turn.T]) + PIVOT
    screen, depth = _project(xyz, head_turn @ (CENTRE - PIVOT) + PIVOT, parameters.camera[row])
    return Mesh(xyz, _normals(head, xyz), screen, depth, hairy)


def at_rest(parameters: Parameters, row: int) -> Floats:
    """Return the vertices (v, 3) of a head without expression or pose, in metres from the point between the eyes."""
    return _identity(
        parameters.beta[row].tobytes(),
        (float(parameters.age[row]), float(parameters.gender[row]), float(parameters.weight[row])),
        parameters.ancestry[row].tobytes(),
    )


def rotation(pose: Floats) -> Floats:
    """Return the (3, 3) float32 rotation by pitch, then yaw, then roll.

    Args:
        pose: yaw, pitch and roll in degrees.
    """
    yaw, pitch, roll = np.radians(pose.astype(np.float64))
    about_x = np.array([[1, 0, 0], [0, np.cos(pitch), np.sin(pitch)], [0, -np.sin(pitch), np.cos(pitch)]])
    about_y = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    about_z = np.array([[np.cos(roll), np.sin(roll), 0], [-np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
    matrix: Floats = (about_z @ about_y @ about_x).astype(np.float32)
    return matrix


@lru_cache(maxsize=16)
def _identity(beta: bytes, macro: tuple[float, float, float], ancestry: bytes) -> Floats:
    """Return the vertices (v, 3) of a person at rest; cached for further images of the same person."""
    head = heads.load()
    age, gender, weight = macro
    ages = np.array([max(0.0, 1 - 2 * age), 1 - abs(2 * age - 1), max(0.0, 2 * age - 1)], np.float32)
    # The base model lists male first.
    genders = np.array([gender, 1 - gender], np.float32)
    weights = np.array([max(0.0, 1 - 2 * weight), max(0.0, 2 * weight - 1)], np.float32)
    shares = np.frombuffer(ancestry, np.float32)
    mix = (ages[:, None, None] * genders[:, None] * shares).ravel()
    flat = head.mean.ravel() + mix @ head.states.reshape(18, -1)
    flat = flat + (genders[:, None] * weights).ravel() @ head.weight.reshape(4, -1)
    sliders = np.frombuffer(beta, np.float32)
    flat = flat + head.shape @ np.concatenate([np.maximum(sliders, 0), np.maximum(-sliders, 0)])
    xyz: Floats = flat.reshape(-1, 3).astype(np.float32)
    eyes = (xyz[head.eyes[0]].mean(0) + xyz[head.eyes[1]].mean(0)) / 2
    centred: Floats = xyz - eyes
    return centred


def _shell(head: Head, rest: Floats, hair: Floats) -> tuple[Floats, Floats]:
    """Return the vertices of the hair shell and their heights above the hairline."""
    kind, volume, shift, fringe, length, opening, curl = (float(x) for x in hair)
    angle, polar, drop = head.hair_place[:, :3].T
    hairy = head.hair_place[:, 3] - shift + fringe * np.exp(-((angle / 42) ** 2))
    hairy = np.maximum(hairy, (np.abs(angle) - opening) * 0.0012)
    if length == 0:
        hairy = np.minimum(hairy, (99 - polar) * 0.0013)
    rise = volume * np.clip((hairy + 0.004) / 0.03, 0.1, 1) ** 0.7 + 0.0015
    waves = (
        np.sin(angle * 0.21 + polar * 0.11) * np.sin(polar * 0.17 + 2.0) + np.sin(angle * 0.47 + 1.0) * 0.5
    )
    rise = rise + curl * 0.003 * waves * (volume > 0)
    hang = drop * (length / 0.24)
    rise = rise + hang * 0.12
    xyz = rest[head.hair_anchor] + head.hair_resting + head.hair_outward * rise[:, None].astype(np.float32)
    xyz[:, 1] -= hang
    if length == 0:
        # No hanging hair: the rows below the ears collapse onto the last row above them.
        strands = xyz.reshape(-1, heads.HAIR_ROWS, 3)
        strands[:, heads.HAIR_ROWS - heads.HANGING_ROWS :] = strands[
            :, [heads.HAIR_ROWS - heads.HANGING_ROWS - 1]
        ]
    if kind < 2:
        # No volume: the shell moves below the skin, and only the painted scalp is visible.
        xyz, hairy = xyz - 0.006 * head.hair_outward, np.full_like(hairy, -1.0)
    return xyz.astype(np.float32), hairy.astype(np.float32)


def _project(xyz: Floats, centre: Floats, camera: Floats) -> tuple[Floats, Floats]:
    distance, height, right, up = camera
    offset = xyz - centre
    depth = distance - offset[:, 2]
    flat = offset[:, :2] * (distance / (height * depth))[:, None]
    screen = np.stack([0.5 + right + flat[:, 0], 0.5 - up - flat[:, 1]], 1)
    return screen.astype(np.float32), depth.astype(np.float32)


def _normals(head: Head, xyz: Floats) -> Floats:
    v = len(head.mean)
    skin = head.gather @ _face_normals(xyz, head.faces)
    shell = _gather_shell() @ _face_normals(xyz[v:], head.hair_faces)
    normals = np.concatenate([skin, shell])
    normals /= np.maximum(np.sqrt((normals**2).sum(1, keepdims=True)), np.float32(1e-12))
    unit: Floats = normals
    return unit


def _face_normals(xyz: Floats, faces: Ints) -> Floats:
    """Return the (f, 3) normals of triangles, with twice the area as length."""
    a, b, c = (np.take(np.ascontiguousarray(xyz.T), faces[:, corner], axis=1) for corner in range(3))
    ab, ac = b - a, c - a
    return np.stack([ab[j] * ac[k] - ab[k] * ac[j] for j, k in ((1, 2), (2, 0), (0, 1))], 1)


@cache
def _gather_shell() -> Any:
    head = heads.load()
    return heads.corner_sum(head.hair_faces, len(head.hair_anchor))
