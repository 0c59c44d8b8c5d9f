"""Baked fields of the head: skin (lips, brows, hairline ...), occlusion, garment, and hair shell."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from facebench.synthface.head import HAIR_ROWS, HANGING_ROWS
from facebench.synthface.raster import rasterise

SIZE = 768  # texels per side of the fields
ATLAS = 2048  # texels per side of the masks of the base mesh
SKULL = np.array([0.0, 0.03, -0.075])  # centre of the angles of the hairline, metres
# Hairline of an average head: height (metres above the eyes) by angle from the front (degrees).
HAIRLINE = np.array(
    [[0, 0.068], [20, 0.069], [38, 0.064], [50, 0.044], [60, 0.030], [72, 0.018], [82, -0.012], [92, -0.012],
     [110, -0.03], [140, -0.065], [180, -0.075]]
)  # fmt: skip


def islands(uv):
    """Number the connected components of the atlas; returns the component of each triangle."""
    points, index = np.unique(uv.reshape(-1, 2), axis=0, return_inverse=True)
    corners = index.reshape(-1, 3)
    ends = np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]]])
    graph = coo_matrix((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(len(points),) * 2)
    return connected_components(graph)[1][corners[:, 0]]


def head_window(uv, island):
    """Return the square (left, top, side) of the atlas around one component; texture rows run downwards."""
    corners = uv[island].reshape(-1, 2)
    left, right = corners[:, 0].min(), corners[:, 0].max()
    top, bottom = (1 - corners[:, 1]).min(), (1 - corners[:, 1]).max()
    side = max(right - left, bottom - top) * 1.01
    return left - (side - right + left) / 2, top - (side - bottom + top) / 2, side


def smooth(x, low, high):
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def blob(xyz, centre, radius):
    """Gaussian around a centre, mirrored to both sides of the face; about 0 at twice the radius."""
    mirrored = np.stack([np.abs(xyz[..., 0]), xyz[..., 1], xyz[..., 2]], -1)
    return np.exp(-(((mirrored - centre) / radius) ** 2).sum(-1))


def hairline(xyz):
    """Compute the signed height above the hairline in metres."""
    angle = np.degrees(np.arctan2(np.abs(xyz[..., 0]), xyz[..., 2] - SKULL[2]))
    return xyz[..., 1] - np.interp(angle, HAIRLINE[:, 0], HAIRLINE[:, 1])


def brow(xyz):
    """Compute the position along the brow (0 inner to 1 outer end) and the signed height above it in metres."""
    across = np.abs(xyz[..., 0])
    along = (across - 0.0115) / (0.052 - 0.0115)
    line = np.interp(across, [0.010, 0.020, 0.032, 0.042, 0.054], [0.0165, 0.0185, 0.0215, 0.0225, 0.0175])
    return np.clip(along, 0, 1), xyz[..., 1] - line


def beard(xyz):
    angle = np.degrees(np.arctan2(np.abs(xyz[..., 0]), xyz[..., 2] - SKULL[2]))
    upper = np.interp(
        angle, [0, 14, 22, 35, 50, 66, 75, 86], [-0.052, -0.052, -0.058, -0.066, -0.052, -0.02, 0.0, 0.01]
    )
    jaw = (
        smooth(upper - xyz[..., 1], -0.002, 0.008)
        * smooth(xyz[..., 1], -0.150, -0.122)
        * smooth(-angle, -92, -80)
    )
    return jaw * smooth(xyz[..., 2], -0.085, -0.06)


def fields(mean, faces, parts, uv, masks):
    """Return uint8 fields (SIZE, SIZE, 7) of the head window, and corner coordinates (f, 3, 2) in texels."""
    island = islands(uv)
    highest = np.argmax(np.where(parts == 0, mean[faces][:, :, 1].max(1), -np.inf))
    skin = island == island[highest]
    left, top, side = head_window(uv, skin)
    texel = np.stack([(uv[..., 0] - left) / side, (1 - uv[..., 1] - top) / side], -1) * SIZE
    points = texel[skin].reshape(-1, 2)
    triangles = np.arange(len(points)).reshape(-1, 3)
    hits = rasterise(points, np.ones(len(points)), triangles, SIZE, np.ones(len(triangles), bool))
    xyz = np.full((SIZE * SIZE, 3), np.nan)
    corners = mean[faces[skin]][hits.triangles]
    xyz[hits.samples] = np.einsum("kc,kcx->kx", hits.weights, corners)
    # Texels between components get the position of the nearest covered texel, so that seams have no artefacts.
    nearest = ndimage.distance_transform_edt(
        np.isnan(xyz[:, 0]).reshape(SIZE, SIZE), return_distances=False, return_indices=True
    )
    xyz = xyz.reshape(SIZE, SIZE, 3)[tuple(nearest)]
    mask = {name: crop(image, left, top, side) for name, image in masks.items()}
    along, above = brow(xyz)
    hair = np.where(mask["ears"] > 0.3, -0.03, hairline(xyz))
    blush = blob(xyz, [0.042, -0.036, 0.0], [0.022, 0.018, 0.03]) + 0.8 * blob(
        xyz, [0, -0.036, 0.045], [0.011, 0.011, 0.02]
    )
    blush += 0.8 * mask["ears"] + 0.35 * blob(xyz, [0, -0.105, 0.0], [0.014, 0.01, 0.03])
    stack = [
        128 + signed_distance(masks["lips"], left, top, side) * 8,
        along * 255,
        128 + above / 1e-4,
        128 + hair / 5e-4,
        beard(xyz) * (1 - mask["lips"]) * 255,
        np.clip(blush, 0, 1) * 255,
        mask["eyelids"] * 255,
    ]
    painted = np.clip(np.round(np.stack(stack, -1)), 0, 255).astype(np.uint8)
    # Parts outside the head read the plain skin of the first texels.
    painted[:2, :2] = [0, 0, 128, 0, 0, 0, 0]
    return painted, np.where(skin[:, None, None], np.clip(texel, 2, SIZE - 2), 0.5)


def signed_distance(image, left, top, side):
    """Compute the distance to the edge of a mask in the head window, in texels of the atlas, positive inside."""
    image = ndimage.gaussian_filter(image, 1.2) > 0.5
    distance = ndimage.distance_transform_edt(image) - ndimage.distance_transform_edt(~image)
    return crop(np.clip(distance, -16, 16), left, top, side)


def crop(image, left, top, side):
    """Resample the head window of a mask to SIZE."""
    image = ndimage.gaussian_filter(image, 1.2)
    grid = (np.arange(SIZE) + 0.5) / SIZE * side * ATLAS
    rows, columns = np.meshgrid(grid + top * ATLAS - 0.5, grid + left * ATLAS - 0.5, indexing="ij")
    return ndimage.map_coordinates(image, [rows, columns], order=1, mode="nearest")


def vertex_normals(xyz, faces):
    flat = np.cross(xyz[faces[:, 1]] - xyz[faces[:, 0]], xyz[faces[:, 2]] - xyz[faces[:, 0]])
    normals = np.zeros_like(xyz)
    for corner in range(3):
        np.add.at(normals, faces[:, corner], flat)
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)


def occlusion(xyz, faces, directions=160, size=384):
    """Compute the visible, cosine-weighted share of the sky for each vertex, by depth maps from uniform directions."""
    normals = vertex_normals(xyz, faces)
    k = np.arange(directions) + 0.5
    polar, turn = np.arccos(1 - 2 * k / directions), np.pi * (1 + 5**0.5) * k
    sky = np.stack([np.cos(turn) * np.sin(polar), np.cos(polar), np.sin(turn) * np.sin(polar)], 1)
    seen, total = np.zeros(len(xyz)), np.zeros(len(xyz))
    everything = np.ones(len(faces), bool)
    for forward in sky:
        side = np.cross([0.0, 1.0, 0.0], forward)
        side /= np.linalg.norm(side)
        up = np.cross(forward, side)
        points = np.stack([xyz @ side, -(xyz @ up)], 1) / 0.8 * size + size / 2
        depth = 2.0 - xyz @ forward
        hits = rasterise(points, depth, faces, size, everything)
        buffer = np.full(size * size, np.inf)
        buffer[hits.samples] = hits.depth
        # A vertex is visible where samples around it are, because its own triangles must not hide it.
        column, row = (np.clip(points[:, i].astype(int), 1, size - 2) for i in (0, 1))
        around = np.stack([buffer[(row + i) * size + column + j] for i in (-1, 0, 1) for j in (-1, 0, 1)])
        cosine = np.clip(normals @ forward, 0, None)
        seen += cosine * (depth - 0.003 <= around).mean(0)
        total += cosine
    return seen / np.maximum(total, 1e-9)


def garment(mean):
    """Compute the signed distance of each vertex below the neckline of a shirt, in metres."""
    centre = np.array([0.0, -0.125, -0.065])
    ball = np.linalg.norm((mean - centre) * [1.0, 0.85, 0.95], axis=1) - 0.095
    return np.minimum(ball, -0.12 - mean[:, 1])


def hair_shell(mean, faces, parts, columns=56):
    """Build a grid around the skull that carries the hair.

    Returns:
        anchors: (k,) the skin vertex that carries each grid vertex.
        resting: (k, 3) offset from that vertex to the skin under the grid vertex.
        outward: (k, 3) unit direction from the skull's axis.
        place: (k, 4) angle from the front (signed) and from the crown in degrees, and drop below ear level and
            height above the hairline in metres.
        shell_faces: (f, 3), counter-clockwise seen from outside.
    """
    skin = np.unique(faces[(parts == 0) & (mean[faces][:, :, 1].max(1) > -0.13)])
    cloud = mean[skin]
    ears = np.abs(cloud[:, 0]) > 0.078
    cloud, skin = cloud[~ears], skin[~ears]
    angles = np.linspace(-180, 180, columns)
    rows, above = HAIR_ROWS, HAIR_ROWS - HANGING_ROWS
    polar = np.concatenate([np.linspace(4, 98, above), np.full(HANGING_ROWS, 98.0)])
    drop = np.concatenate([np.zeros(above), np.linspace(0.03, 0.24, HANGING_ROWS)])
    a, p = np.meshgrid(np.radians(angles), np.radians(polar), indexing="ij")
    direction = np.stack([np.sin(a) * np.sin(p), np.cos(p), np.cos(a) * np.sin(p)], -1).reshape(-1, 3)
    rays = (cloud - SKULL) / np.linalg.norm(cloud - SKULL, axis=1, keepdims=True)
    radius = np.linalg.norm(cloud - SKULL, axis=1)
    likeness = direction @ rays.T
    closest = np.argpartition(-likeness, 6, axis=1)[:, :6]
    close = np.take_along_axis(likeness, closest, 1)
    weight = 1 / (1e-4 + 1 - close)
    reach = (radius[closest] * weight).sum(1) / weight.sum(1)
    anchor = skin[np.argmax(likeness, 1)]
    surface = SKULL + direction * reach[:, None]
    flat = direction * [1, 0.15, 1]
    hanging = np.tile(drop, columns)[:, None] * np.array([0, -1.0, 0])
    outward = np.where(hanging[:, 1:2] < 0, flat / np.linalg.norm(flat, axis=1, keepdims=True), direction)
    i, j = np.meshgrid(np.arange(columns - 1), np.arange(rows - 1), indexing="ij")
    a0, a1 = (i * rows + j).ravel(), ((i + 1) * rows + j).ravel()
    shell_faces = np.concatenate([np.stack([a0, a0 + 1, a1 + 1], 1), np.stack([a0, a1 + 1, a1], 1)])
    # Below hanging hair there is no hairline: skin is visible only through an opening angle.
    line = np.where(np.tile(drop, columns) > 0, -0.1, hairline(surface))
    place = np.stack([np.repeat(angles, rows), np.tile(polar, columns), np.tile(drop, columns), line], 1)
    return anchor, surface - mean[anchor], outward, place, shell_faces
