"""FaceModel: draw parameters of faces, and render them to images and physical buffers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facebench.errors import InputError
from facebench.synthface import backdrop, geometry, paint
from facebench.synthface import head as heads
from facebench.synthface.parameters import Parameters, draw
from facebench.synthface.raster import Hits, rasterise

Floats = NDArray[np.float32]
Images = NDArray[np.uint8]

SMALLEST, LARGEST = 16, 1024


@dataclass(frozen=True)
class Buffers:
    """What the renderer knows about n images of side s; display values are the square root of linear light.

    Attributes:
        image: (n, s, s, 3) uint8, the same bytes that `FaceModel.render` gives.
        normal: (n, s, s, 3) float32 unit normals in camera space (x right, y up, z towards the viewer), 0 off the face.
        albedo: (n, s, s, 3) float32 diffuse colour in [0, 1], display values, 0 off the face.
        shading: (n, s, s, 3) float32 diffuse light, display values: image ≈ albedo × shading where nothing shines.
        rendered: (n, s, s, 3) float32 Lambertian rendering in [0, 1], display values: albedo × shading, without highlights
            or background; the condition that DiffusionRig calls rendered.
        mask: (n, s, s) float32 share of the pixel that the figure covers.
        depth: (n, s, s) float32 metres from the camera, 0 off the face.
    """

    image: Images
    normal: Floats
    albedo: Floats
    shading: Floats
    rendered: Floats
    mask: Floats
    depth: Floats


class FaceModel:
    """Parametric faces whose truth is known: parameters in, images and physical buffers out.

    Rendering is a pure function of the parameters: the same parameters give the same bytes, whatever else is rendered with them.

    Example:
        >>> model = FaceModel()
        >>> model.render(model.sample(2, seed=0), 32).shape
        (2, 32, 32, 3)
    """

    def sample(
        self,
        n: int,
        seed: int = 0,
        *,
        images: int = 1,
        start: int = 0,
        expressions: Sequence[str] | None = None,
    ) -> Parameters:
        """Draw n faces of an endless set; face i never depends on how many others are drawn.

        Args:
            n: how many faces.
            seed: the set.
            images: images per person; face i is image i % images of person i // images.
            start: number of the first face, for loaders that draw by index.
            expressions: names to draw from, all by default; with several images per person they take turns.

        Returns:
            Parameters with n rows.

        Raises:
            InputError: n or images below 1, a negative seed or start, or an unknown expression.
        """
        return draw(n, seed, images=images, start=start, names=expressions)[0]

    def render(self, parameters: Parameters, size: int = 128) -> Images:
        """Render every face to an RGB image.

        Args:
            parameters: n faces.
            size: pixels per side, 16 to 1024.

        Returns:
            (n, size, size, 3) uint8.

        Raises:
            InputError: a size outside the range.
        """
        _check(size)
        return np.stack([_image(_Samples.of(parameters, i, size)) for i in range(len(parameters))])

    def buffers(self, parameters: Parameters, size: int = 128) -> Buffers:
        """Render every face together with its normals, albedo, shading, Lambertian rendering, mask and depth.

        Raises:
            InputError: a size outside the range.
        """
        _check(size)
        rows = [_buffers(_Samples.of(parameters, i, size)) for i in range(len(parameters))]
        return Buffers(**{name: np.stack([row[name] for row in rows]) for name in rows[0]})  # type: ignore[arg-type]


def _check(size: int) -> None:
    if not SMALLEST <= size <= LARGEST:
        raise InputError(f"A face can be rendered at {SMALLEST} to {LARGEST} pixels, not {size}.")


@dataclass
class _Samples:
    """Everything known at the covered samples of one image, before they are averaged to pixels."""

    parameters: Parameters
    row: int
    size: int
    grid: int
    at: NDArray[np.int64]
    surface: paint.Surface
    normal: Floats
    open_sky: Floats
    depth: Floats

    @staticmethod
    def of(parameters: Parameters, row: int, size: int) -> _Samples:
        mesh = geometry.build(parameters, row)
        grid = size * (3 if size < 96 else 2)
        shared = geometry.topology()
        screen = mesh.screen * np.float32(grid)
        hits = rasterise(screen, mesh.depth, shared.faces, grid, shared.two_sided)
        look = _look(parameters, row)
        samples = _Samples(parameters, row, size, grid, hits.samples, *_figure(hits, mesh, look), hits.depth)
        over = rasterise(screen, mesh.depth, shared.over, grid, shared.over_lash)
        return _with_hair(samples, over, mesh, look)


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


def _blend(weights: Floats, corners: Floats) -> Floats:
    """Interpolate (k, 3, c) corner values by (k, 3) weights."""
    mixed: Floats = (
        weights[:, 0, None] * corners[:, 0]
        + weights[:, 1, None] * corners[:, 1]
        + weights[:, 2, None] * corners[:, 2]
    )
    return mixed


def _unit(vectors: Floats) -> Floats:
    length = np.sqrt((vectors * vectors).sum(1, keepdims=True))
    unit: Floats = vectors / np.maximum(length, np.float32(1e-12))
    return unit


def _figure(hits: Hits, mesh: geometry.Mesh, look: paint.Look) -> tuple[paint.Surface, Floats, Floats]:
    """Material, unit normal and openness to the sky at the hits of head and shoulders."""
    head, shared = heads.load(), geometry.topology()
    extra = np.zeros((len(mesh.xyz), 2), np.float32)
    extra[: len(head.mean), 0], extra[: len(head.mean), 1] = head.occlusion, head.garment
    extra[len(head.mean) :, 0] = 0.35
    corners = shared.faces[hits.triangles]
    values = _blend(hits.weights, np.concatenate([mesh.normals, extra], 1)[corners])
    normal = _unit(values[:, :3])
    part = shared.parts[hits.triangles]
    surface = paint.plain(np.zeros(3, np.float32), 0.0, len(part))
    for number in np.unique(part):
        chosen = np.flatnonzero(part == number)
        weights = hits.weights[chosen]
        if number == heads.SKIN:
            texel = _blend(weights, shared.texel[hits.triangles[chosen]])
            piece = paint.skin(head, look, texel, values[chosen, 4])
        elif number in (heads.LEFT_EYE, heads.RIGHT_EYE):
            piece = paint.eye(look, _blend(weights, head.eye_place[corners[chosen]]))
        else:
            piece = paint.inside(look, int(number), len(chosen))
        _put(surface, chosen, piece)
    return surface, normal, values[:, 3]


def _put(surface: paint.Surface, rows: NDArray[np.int64], piece: paint.Surface) -> None:
    surface.albedo[rows], surface.gloss[rows] = piece.albedo, piece.gloss
    surface.sharp[rows], surface.shade[rows] = piece.sharp, piece.shade


def _with_hair(samples: _Samples, over: Hits, mesh: geometry.Mesh, look: paint.Look) -> _Samples:
    """Lay hair and lashes over the figure: they hide what lies behind as far as they are opaque."""
    head, shared = heads.load(), geometry.topology()
    corners = shared.over[over.triangles]
    lash = shared.over_lash[over.triangles]
    # One table serves both: the shell's places, and the length in the lashes' first column.
    table = np.zeros((len(mesh.xyz), 4), np.float32)
    table[: len(head.mean), 0] = head.lash
    table[len(head.mean) :, :3], table[len(head.mean) :, 3] = head.hair_place[:, :3], mesh.hairy
    place = _blend(over.weights, table[corners])
    hair, alpha = paint.strands(look, place)
    thin, alpha[lash] = paint.lashes(look, place[lash, 0])
    _put(hair, np.flatnonzero(lash), thin)
    slot = np.full(samples.grid**2, -1)
    slot[samples.at] = np.arange(len(samples.at))
    behind = slot[over.samples]
    covered = behind >= 0
    hidden = np.zeros(len(alpha), bool)
    hidden[covered] = samples.depth[behind[covered]] < over.depth[covered] - 0.002
    on, off = np.flatnonzero(covered & ~hidden & (alpha > 0.02)), np.flatnonzero(~covered & (alpha > 0.5))
    normal = _unit(_blend(over.weights, mesh.normals[corners]))
    rows, a = behind[on], alpha[on, None]
    s = samples.surface
    s.albedo[rows] += (hair.albedo[on] - s.albedo[rows]) * a
    s.gloss[rows] += (hair.gloss[on] - s.gloss[rows]) * alpha[on]
    s.shade[rows] += (1 - s.shade[rows]) * alpha[on]
    s.sharp[rows] &= alpha[on] < 0.5
    samples.normal[rows] = _unit(samples.normal[rows] + (normal[on] - samples.normal[rows]) * a)
    samples.open_sky[rows] += (0.8 - samples.open_sky[rows]) * alpha[on]
    samples.depth[rows] = np.where(alpha[on] > 0.5, over.depth[on], samples.depth[rows])
    surface = paint.Surface(
        *(
            np.concatenate([getattr(s, f), getattr(hair, f)[off]])
            for f in ("albedo", "gloss", "sharp", "shade")
        )
    )
    return _Samples(
        samples.parameters,
        samples.row,
        samples.size,
        samples.grid,
        np.concatenate([samples.at, over.samples[off]]),
        surface,
        np.concatenate([samples.normal, normal[off]]),
        np.concatenate([samples.open_sky, np.full(len(off), 0.8, np.float32)]),
        np.concatenate([samples.depth, over.depth[off]]),
    )


def _light(samples: _Samples) -> tuple[Floats, Floats]:
    """Diffuse light (k, 3) and highlights (k, 3), linear.

    The key light wraps a little around the form, most in red, as light that has passed through skin does.
    """
    p, row, n = samples.parameters, samples.row, samples.normal
    key, fill, sky, ground = p.lamps[row]
    towards = p.light[row]
    lit = (n @ towards)[:, None]
    wrap = np.array([0.22, 0.12, 0.09], np.float32)
    direct = np.maximum((lit + wrap) / (1 + wrap), 0) * key
    counter = np.array([-towards[0], 0.2, 0.8 * abs(towards[2]) + 0.2], np.float32)
    direct += np.maximum(n @ (counter / np.linalg.norm(counter)), 0)[:, None] * fill
    up = (0.5 + 0.5 * n[:, 1])[:, None]
    openness = np.clip(samples.open_sky * 1.12, 0, 1)[:, None]
    diffuse = direct * (0.25 + 0.75 * np.sqrt(openness)) + openness * (ground + (sky - ground) * up)
    diffuse *= samples.surface.shade[:, None]
    half = towards + np.array([0, 0, 1], np.float32)
    spot = np.maximum(n @ (half / np.linalg.norm(half)), 0)
    broad = spot**2
    broad *= broad
    broad *= broad
    broad *= broad
    tight = broad * broad
    tight *= tight
    tight *= tight
    shine = (
        np.where(samples.surface.sharp, tight, broad) * samples.surface.gloss * (0.3 + 0.7 * openness[:, 0])
    )
    return diffuse.astype(np.float32), (shine[:, None] * key).astype(np.float32)


def _average(samples: _Samples, values: Floats) -> Floats:
    """Mean over the samples of every pixel; what is not covered counts as 0; (size, size, c)."""
    grid = np.zeros((samples.grid**2, values.shape[1]), np.float32)
    grid[samples.at] = values
    factor = samples.grid // samples.size
    grid = grid.reshape(samples.size, factor, samples.size, factor, -1)
    mean = sum(grid[:, i, :, j] for i in range(factor) for j in range(factor)) / np.float32(factor**2)
    return np.asarray(mean, np.float32)


def _image(samples: _Samples) -> Images:
    diffuse, shine = _light(samples)
    light = samples.surface.albedo * diffuse + shine
    # Samples are clipped before they are averaged: a highlight must not bleed over its edge.
    ones = np.ones((len(light), 1), np.float32)
    figure = _average(samples, np.concatenate([np.minimum(light, 1), ones], 1))
    behind = backdrop.paint(samples.parameters, samples.row, samples.size)
    linear = figure[..., :3] + behind * (1 - figure[..., 3:])
    return np.asarray(np.round(np.sqrt(np.clip(linear, 0, 1)) * 255), np.uint8)


def _buffers(samples: _Samples) -> dict[str, NDArray[np.generic]]:
    diffuse, _ = _light(samples)
    albedo = samples.surface.albedo
    ones = np.ones((len(albedo), 1), np.float32)
    flat = _average(
        samples,
        np.concatenate(
            [samples.normal, albedo, np.minimum(albedo * diffuse, 1), samples.depth[:, None], ones], 1
        ),
    )
    mask = flat[..., 10]
    inside = mask[..., None] > 0
    share = np.where(inside, mask[..., None], 1)
    normal = flat[..., :3]
    length = np.sqrt((normal**2).sum(-1, keepdims=True))
    albedo, rendered = flat[..., 3:6] / share, flat[..., 6:9] / share
    shading = np.sqrt(np.divide(rendered, albedo, out=np.zeros_like(rendered), where=albedo > 0))
    return {
        "image": _image(samples),
        "normal": np.where(length > 0, normal / np.where(length > 0, length, 1), 0).astype(np.float32),
        "albedo": np.sqrt(np.clip(albedo, 0, 1)),
        "shading": shading,
        "rendered": np.sqrt(np.clip(rendered, 0, 1)),
        "mask": mask,
        "depth": flat[..., 9] / share[..., 0],
    }
