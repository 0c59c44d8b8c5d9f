"""Renderer of a FLAME head after DECA: weak perspective, spherical-harmonic light, one sample per pixel.

    screen   = scale · (x + t_x, −(y + t_y))                     weak-perspective camera, y down
    shading  = Σ_k L_k h_k Y_k(n)                                nine spherical harmonics of the normal n
    rendered = albedo · shading

Source: Feng et al. 2021 (DECA), section 4.1, and the authors' renderer for the order of the nine terms and the image
plane; Ramamoorthi and Hanrahan 2001, eq. 13, for the factors h.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facebench.backbones.crops import FACE224
from facebench.synthface.raster import rasterise
from facebench.training.rig.buffers.flame import EYE, OTHER_EYE, Flame, full_pose
from facebench.training.rig.buffers.flame_codes import SHAPE_CODES, Codes, TransferKind
from facebench.training.rig.buffers.flame_files import Texture
from facebench.training.rig.buffers.images import BufferImages

Floats = NDArray[np.floating]

FAR = 1e4  # depth offset of the camera, so large that interpolation within a triangle is linear
HARMONICS = np.array(
    [
        np.sqrt(1 / (4 * np.pi)),
        *[2 * np.pi / 3 * np.sqrt(3 / (4 * np.pi))] * 3,
        *[np.pi / 4 * 3 * np.sqrt(5 / (12 * np.pi))] * 3,
        np.pi / 4 * 3 / 2 * np.sqrt(5 / (12 * np.pi)),
        np.pi / 4 / 2 * np.sqrt(5 / (4 * np.pi)),
    ]
)
"""Factors h of 1, x, y, z, xy, xz, yz, x² − y², 3z² − 1."""


class FlameSpace:
    """Space of DECA's codes: shape, tex, exp, pose, cam, light, and `square`, the position of the crop in the photo.

    `square` (n, 3) holds left edge, top edge and side of the crop as shares of the photo's side.
    """

    name = "flame"
    brightest = 2.0
    shape = SHAPE_CODES["flame"]

    def __init__(self, flame: Flame, texture: Texture) -> None:
        self.flame, self.texture = flame, texture

    def draw(self, codes: Codes, size: int) -> BufferImages:
        """Render the buffers of the first face in the frame of the photo; pixels outside the head are zero."""
        vertices, _ = self._posed(codes)
        screen, depth = self._projected(vertices, codes, size)
        hits = rasterise(screen, depth + FAR, self.flame.faces, size, True)
        normals = vertex_normals(vertices, self.flame.faces)
        corners = self.flame.faces[hits.triangles]
        normal = np.einsum("kc,kcd->kd", hits.weights, normals[corners])
        coordinates = np.einsum("kc,kcd->kd", hits.weights, self.texture.corners[hits.triangles])
        albedo = sampled(self.texture.painted(codes["tex"][0]), coordinates)
        values = np.concatenate([albedo * shading(normal, codes["light"][0]), normal, albedo], axis=1)
        pixels = np.zeros((size * size, 9), np.float32)
        pixels[hits.samples] = values
        rendered, normal_map, albedo_map = np.split(pixels.reshape(size, size, 9), 3, axis=2)
        return BufferImages(rendered, normal_map, albedo_map)

    def transferred(self, onto: Codes, of: Codes, kind: TransferKind) -> Codes:
        """Replace the expression (ψ and the jaw), the light, or the rotation of the head.

        A transfer of pose keeps the midpoint of the eyes in place, as in images aligned by eyes and mouth.
        """
        if kind == "light":
            return onto | {"light": of["light"]}
        if kind == "expression":
            pose = np.concatenate([onto["pose"][:, :3], of["pose"][:, 3:]], axis=1)
            return onto | {"exp": of["exp"], "pose": pose}
        pose = np.concatenate([of["pose"][:, :3], onto["pose"][:, 3:]], axis=1)
        turned = onto | {"pose": pose}
        return turned | {"cam": onto["cam"] + self._eye_correction(onto, turned)}

    def _eye_correction(self, before: Codes, after: Codes) -> Floats:
        """(n, 3) change of `cam` that keeps the midpoint of the eyes in place."""
        changes = np.zeros_like(before["cam"])
        for row in range(len(changes)):
            midpoints = []
            for codes in (before, after):
                _, joints = self._posed({name: array[row : row + 1] for name, array in codes.items()})
                midpoints.append((joints[EYE] + joints[OTHER_EYE])[:2] / 2)
            changes[row, 1:] = midpoints[0] - midpoints[1]
        return changes

    def _posed(self, codes: Codes) -> tuple[Floats, Floats]:
        return self.flame.vertices(codes["shape"][0], codes["exp"][0], full_pose(codes["pose"][0]))

    def _projected(self, vertices: Floats, codes: Codes, size: int) -> tuple[Floats, Floats]:
        """Screen positions in pixels (x right, y down) and depths (larger is farther)."""
        scale, *shift = (float(value) for value in codes["cam"][0])
        left, top, side = (float(value) * size for value in codes["square"][0])
        plane = scale * (vertices[:, :2] + shift) * [1, -1]
        # [-1, 1] of the plane is the crop of 224 pixels. Its pixels 0 and 223 lie on the edges of the square.
        crop = (plane + 1) / 2 * FACE224
        return [left, top] + crop * side / (FACE224 - 1), -scale * vertices[:, 2]


def vertex_normals(vertices: Floats, faces: NDArray[np.int64]) -> Floats:
    """Unit normals (v, 3): the normalised sum of the area-weighted normals of adjacent triangles."""
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    normals = np.zeros_like(vertices)
    area_normals = np.cross(b - a, c - a)
    for corner in range(3):
        np.add.at(normals, faces[:, corner], area_normals)
    length = np.sqrt((normals**2).sum(axis=1, keepdims=True))
    return np.asarray(normals / np.maximum(length, 1e-6))


def shading(normals: Floats, light: Floats) -> Floats:
    """Shading Σ_k L_k h_k Y_k(n), (k, 3), of normals (k, 3) under nine spherical-harmonic coefficients (9, 3).

    Example:
        >>> ambient = np.zeros((9, 3))
        >>> ambient[0] = np.sqrt(4 * np.pi)
        >>> [round(float(value), 6) for value in shading(np.array([[0.0, 0.6, 0.8]]), ambient)[0]]
        [1.0, 1.0, 1.0]
    """
    x, y, z = normals.T
    terms = np.stack([np.ones_like(x), x, y, z, x * y, x * z, y * z, x**2 - y**2, 3 * z**2 - 1], axis=1)
    return np.asarray((terms * HARMONICS) @ light)


def sampled(texture: NDArray[np.float32], coordinates: Floats) -> Floats:
    """Sample a texture bilinearly.

    Args:
        texture: (s, s, 3) colours; texel centres lie inside the unit square.
        coordinates: (k, 2) u right and v up, in [0, 1].

    Returns:
        (k, 3) colours; black outside the texture.
    """
    side = len(texture)
    at = np.stack([(1 - coordinates[:, 1]) * side - 0.5, coordinates[:, 0] * side - 0.5], axis=1)
    first = np.floor(at).astype(np.int64)
    share = at - first
    colours = np.zeros((len(coordinates), 3))
    for down in (0, 1):
        for right in (0, 1):
            row, column = first[:, 0] + down, first[:, 1] + right
            weight = np.abs(1 - down - share[:, 0]) * np.abs(1 - right - share[:, 1])
            inside = (row >= 0) & (row < side) & (column >= 0) & (column < side)
            texels = texture[row.clip(0, side - 1), column.clip(0, side - 1)]
            colours += texels * (weight * inside)[:, None]
    return colours
