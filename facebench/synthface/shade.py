"""Visible samples of a posed mesh, and their lighting.

Arrays are channel-first, as in `facebench.synthface.paint`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facebench.synthface import geometry, paint
from facebench.synthface import head as heads
from facebench.synthface.parameters import Parameters
from facebench.synthface.raster import Hits, rasterise

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

HAIR_OPENNESS = 0.8  # visible fraction of the sky on the outer side of the hair


@dataclass
class Samples:
    """Attributes of the k covered samples of one image, before averaging to pixels.

    Attributes:
        grid: samples per side.
        at: (k,) flat index in the grid.
        surface: material.
        normal: (3, k) unit normal in camera space.
        sky: (k,) visible fraction of the sky.
        depth: (k,) metres from the camera.
    """

    grid: int
    at: Ints
    surface: paint.Surface
    normal: Floats
    sky: Floats
    depth: Floats

    def average(self, values: Floats, size: int) -> Floats:
        """Average (c, k) values over the samples of each pixel; uncovered samples count as 0; (c, size, size)."""
        factor = self.grid // size
        out = np.empty((len(values), size, size), np.float32)
        for channel, row in enumerate(values):
            full = np.zeros(self.grid * self.grid, np.float32)
            full[self.at] = row
            blocks = full.reshape(size, factor, size, factor)
            total = blocks[:, 0, :, 0].copy()
            for i in range(1, factor * factor):
                total += blocks[:, i // factor, :, i % factor]
            out[channel] = total
        out /= np.float32(factor * factor)
        return out


def samples(parameters: Parameters, row: int, size: int) -> Samples:
    """Rasterise one face of a set with 2×2 samples per pixel, 3×3 in small images."""
    mesh = geometry.build(parameters, row)
    shared = geometry.topology()
    grid = size * (3 if size < 96 else 2)
    screen = mesh.screen[shared.source] * np.float32(grid)
    depth = mesh.depth[shared.source]
    look = _look(parameters, row)
    # Hair without volume needs no shell, which comes last in `faces` and first in `over`.
    shell = int(shared.over_lash.argmax())
    bare = parameters.hair[row, 0] < 2
    hits = rasterise(screen, depth, shared.faces[: len(shared.faces) - shell * bare], grid)
    figure = Samples(grid, hits.samples, *_figure(hits, mesh, look), hits.depth)
    over = rasterise(screen, depth, shared.over[shell * bare :], grid, shared.over_lash[shell * bare :])
    return _overlay(figure, over.shifted(shell * bare), mesh, look)


def light(parameters: Parameters, row: int, visible: Samples) -> tuple[Floats, Floats]:
    """Return diffuse and specular light at the samples, (3, k) each, linear RGB.

    The key light wraps around the surface, most in red, to imitate subsurface scattering in skin.
    """
    key, fill, above, below = parameters.lamps[row][:, :, None]
    towards = parameters.light[row]
    wrap = np.array([[0.22], [0.12], [0.09]], np.float32)
    direct = (towards @ visible.normal + wrap) / (1 + wrap)
    np.maximum(direct, 0, out=direct)
    direct *= key
    opposite = np.array([-towards[0], 0.2, 0.8 * abs(towards[2]) + 0.2], np.float32)
    direct += np.maximum((opposite / np.sqrt(opposite @ opposite)) @ visible.normal, 0) * fill
    sky = np.clip(visible.sky * np.float32(1.12), 0, 1)
    # Geometry that occludes the sky also occludes the lamps.
    direct *= 0.25 + 0.75 * np.sqrt(sky)
    direct += sky * (below + (above - below) * (0.5 + 0.5 * visible.normal[1]))
    direct *= visible.surface.shade
    half = towards + np.array([0, 0, 1], np.float32)
    cosine = np.maximum((half / np.sqrt(half @ half)) @ visible.normal, 0)
    dry = _power(cosine, 4)
    specular = dry + (_power(dry, 3) - dry) * visible.surface.wet
    return direct, specular * visible.surface.gloss * (0.3 + 0.7 * sky) * key


def _power(x: Floats, doublings: int) -> Floats:
    """Raise x to the power 2 ** doublings."""
    for _ in range(doublings):
        x = x * x
    return x


def _look(parameters: Parameters, row: int) -> paint.Look:
    return paint.Look(
        parameters.albedo[row],
        parameters.brow[row],
        parameters.hair[row],
        float(parameters.beard[row]),
        float(parameters.blush[row]),
        float(parameters.freckles[row]),
        parameters.garment[row],
        float(parameters.age[row]),
        0.0045 - 0.0022 * float(parameters.gender[row]),
    )


def _interpolate(hits: Hits, triangles: Ints, table: Floats) -> Floats:
    """Interpolate a (v, c) table of vertex values at the hits; (c, k)."""
    return paint.lookup(np.take(triangles, hits.triangles, axis=0), hits.weights, table)


def _unit(vectors: Floats) -> Floats:
    """Normalise (3, k) vectors in place."""
    length = np.sqrt(vectors[0] ** 2 + vectors[1] ** 2 + vectors[2] ** 2)
    vectors /= np.maximum(length, np.float32(1e-12))
    return vectors


def _figure(hits: Hits, mesh: geometry.Mesh, look: paint.Look) -> tuple[paint.Surface, Floats, Floats]:
    """Return material, unit normal and visible fraction of the sky at the hits of head and shoulders."""
    head, shared = heads.load(), geometry.topology()
    table = np.concatenate([mesh.normals[shared.source], shared.fixed], 1)
    values = _interpolate(hits, shared.faces, table)
    sky, garment, tx, ty, ex, ey, ez = values[3:]
    part = shared.parts[hits.triangles]
    skin = np.flatnonzero(part == heads.SKIN)
    surface = paint.Surface.plain(np.zeros(3, np.float32), 0.0, len(part))
    surface.put(skin, paint.skin(head, look, tx[skin], ty[skin], garment[skin]))
    eyes = np.flatnonzero((part == heads.LEFT_EYE) | (part == heads.RIGHT_EYE))
    surface.put(eyes, paint.eye(look, ex[eyes], ey[eyes], ez[eyes]))
    for number in (heads.MOUTH, heads.TEETH, heads.TONGUE, heads.HAIR_INSIDE):
        rows = np.flatnonzero(part == number)
        surface.put(rows, paint.inside(look, number, len(rows)))
    return surface, _unit(values[:3]), sky


def _overlay(figure: Samples, hits: Hits, mesh: geometry.Mesh, look: paint.Look) -> Samples:
    """Blend hair and lashes over the figure by their opacity."""
    shared = geometry.topology()
    lash = np.flatnonzero(shared.over_lash[hits.triangles])
    table = np.concatenate([mesh.normals[shared.source], shared.over_fixed], 1)
    table[-len(mesh.hairy) :, 6] = mesh.hairy
    values = _interpolate(hits, shared.over, table)
    surface, alpha = paint.strands(look, values[3:])
    thin, alpha[lash] = paint.lashes(look, values[3, lash])
    surface.put(lash, thin)
    behind = np.full(figure.grid**2, -1)
    behind[figure.at] = np.arange(len(figure.at))
    behind = behind[hits.samples]
    covered = behind >= 0
    # A lash may start slightly inside its lid.
    hidden = covered & (figure.depth[behind] < hits.depth - 0.002)
    on, off = np.flatnonzero(covered & ~hidden & (alpha > 0.02)), np.flatnonzero(~covered & (alpha > 0.5))
    _blend(figure, behind[on], surface, on, alpha[on], _unit(values[:3]), hits.depth)
    new = paint.Surface(surface.albedo[:, off], surface.gloss[off], surface.wet[off], surface.shade[off])
    return _extend(figure, hits.samples[off], new, values[:3, off], hits.depth[off])


def _blend(
    figure: Samples, rows: Ints, over: paint.Surface, on: Ints, alpha: Floats, normal: Floats, depth: Floats
) -> None:
    """Blend the samples `on` of a surface over rows of the figure."""
    below = figure.surface
    below.albedo[:, rows] += (over.albedo[:, on] - below.albedo[:, rows]) * alpha
    below.gloss[rows] += (over.gloss[on] - below.gloss[rows]) * alpha
    below.wet[rows] *= 1 - alpha
    below.shade[rows] += (1 - below.shade[rows]) * alpha
    figure.normal[:, rows] = _unit(figure.normal[:, rows] * (1 - alpha) + normal[:, on] * alpha)
    figure.sky[rows] += (HAIR_OPENNESS - figure.sky[rows]) * alpha
    figure.depth[rows] = np.where(alpha > 0.5, depth[on], figure.depth[rows])


def _extend(figure: Samples, at: Ints, surface: paint.Surface, normal: Floats, depth: Floats) -> Samples:
    """Append samples that the figure does not cover."""
    if len(at) == 0:
        return figure
    below = figure.surface
    return Samples(
        figure.grid,
        np.concatenate([figure.at, at]),
        paint.Surface(
            np.concatenate([below.albedo, surface.albedo], 1),
            np.concatenate([below.gloss, surface.gloss]),
            np.concatenate([below.wet, surface.wet]),
            np.concatenate([below.shade, surface.shade]),
        ),
        np.concatenate([figure.normal, normal], 1),
        np.concatenate([figure.sky, np.full(len(at), HAIR_OPENNESS, np.float32)]),
        np.concatenate([figure.depth, depth]),
    )
