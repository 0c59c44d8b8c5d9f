"""Colour of every visible sample: skin, lips, brows, scalp, eyes, mouth, lashes, shirt and hair."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from facebench.synthface import head as heads
from facebench.synthface.head import Head

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

GRAIN = 256  # side of the noise tile


@dataclass
class Surface:
    """Material of the visible samples.

    Attributes:
        albedo: (k, 3) diffuse colour, linear RGB.
        gloss: (k,) strength of the highlight.
        sharp: (k,) bool, true where the highlight is that of a wet surface.
        shade: (k,) extra darkening of all light, such as under the upper lid.
    """

    albedo: Floats
    gloss: Floats
    sharp: NDArray[np.bool_]
    shade: Floats


@dataclass(frozen=True)
class Look:
    """The identity's colours and marks of one face: rows of `Parameters`."""

    albedo: Floats
    brow: Floats
    hair: Floats
    beard: float
    blush: float
    freckles: float
    garment: Floats
    age: float
    lashes: float


def step(x: Floats, low: float, high: float) -> Floats:
    """Smooth step from 0 at low to 1 at high."""
    t = np.clip((x - np.float32(low)) * np.float32(1 / (high - low)), 0, 1)
    smooth: Floats = t * t * (3 - 2 * t)
    return smooth


@cache
def grain() -> Floats:
    """(2, GRAIN * GRAIN) tiling noise in [-1, 1]: fine, and smooth."""
    rng = np.random.default_rng(20240607)
    white = rng.normal(size=(GRAIN, GRAIN))
    frequency = np.hypot(np.fft.fftfreq(GRAIN)[:, None], np.fft.fftfreq(GRAIN)[None]) * GRAIN
    layers = []
    for centre in (60.0, 9.0):
        band = np.exp(-((np.log(np.maximum(frequency, 0.5) / centre) / 0.6) ** 2))
        layer = np.fft.ifft2(np.fft.fft2(white) * band).real
        layers.append(np.clip(layer / (2.5 * layer.std()), -1, 1).ravel())
    return np.array(layers, np.float32)


def noise(layer: int, x: Floats, y: Floats) -> Floats:
    """Noise at places in tile units, nearest neighbour."""
    column, row = np.floor(x).astype(np.int64) % GRAIN, np.floor(y).astype(np.int64) % GRAIN
    values: Floats = grain()[layer][row * GRAIN + column]
    return values


def _fields(head: Head, at: Floats) -> Floats:
    """(k, 8) painted fields at texel coordinates, bilinear."""
    x, y = at[:, 0] - 0.5, at[:, 1] - 0.5
    left, top = np.floor(x), np.floor(y)
    fx, fy = (x - left)[:, None], (y - top)[:, None]
    index = top.astype(np.int64) * head.side + left.astype(np.int64)
    index = np.clip(index, 0, head.side * head.side - head.side - 2)
    upper = head.fields[index] * (1 - fx) + head.fields[index + 1] * fx
    lower = head.fields[index + head.side] * (1 - fx) + head.fields[index + head.side + 1] * fx
    values: Floats = upper * (1 - fy) + lower * fy
    return values


def _mix(base: Floats, colour: Floats, alpha: Floats) -> Floats:
    mixed: Floats = base + (colour - base) * alpha[:, None]
    return mixed


def skin(head: Head, look: Look, at: Floats, garment: Floats) -> Surface:
    """Skin with everything painted on it, down to the shirt."""
    fields = _fields(head, at)
    fine, smooth = noise(0, at[:, 0] * 1.3, at[:, 1] * 1.3), noise(1, at[:, 0] * 0.9, at[:, 1] * 0.9)
    tone, lips, hair = look.albedo[0], look.albedo[1], look.albedo[2]
    albedo = tone * (1 + 0.05 * smooth + 0.03 * fine)[:, None]
    blush = fields[:, heads.BLUSH] * np.float32(look.blush / 255)
    albedo = albedo * (1 - blush[:, None] * np.array([0.02, 0.22, 0.20], np.float32))
    spots = step(noise(0, at[:, 0] * 0.55 + 31, at[:, 1] * 0.55), 0.45, 0.75) * (fields[:, heads.BLUSH] > 20)
    albedo = _mix(
        albedo, tone * np.array([0.62, 0.48, 0.42], np.float32), spots * np.float32(0.75 * look.freckles)
    )
    lids = fields[:, heads.LIDS] * np.float32(1 / 255)
    albedo = albedo * (1 - 0.16 * lids * np.array([[0.8], [1.0], [0.9]], np.float32)).T
    stubble = fields[:, heads.BEARD] * np.float32(1 / 255) * (0.65 + 0.35 * fine)
    albedo = _mix(albedo, hair * 0.8 + tone * 0.04, np.clip(stubble * np.float32(look.beard * 1.1), 0, 0.93))
    mouth = step(fields[:, heads.LIPS] - 128, -9, 9)
    albedo = _mix(albedo, lips * (1 + 0.12 * fine)[:, None], mouth * 0.92)
    albedo = _mix(albedo, hair * 0.9 + tone * 0.06, _brow(look, fields, fine))
    albedo = _mix(albedo, hair * 0.75 + tone * 0.08, _scalp(look, fields, fine))
    shirt = step(garment, -0.0012, 0.0012)
    albedo = _mix(albedo, look.garment * (1 - 0.35 * step(-garment, -0.006, 0.0))[:, None], shirt)
    gloss = (0.055 + 0.07 * mouth) * (1 - shirt)
    k = len(at)
    return Surface(albedo, gloss, np.zeros(k, bool), np.ones(k, np.float32))


def _brow(look: Look, fields: Floats, fine: Floats) -> Floats:
    half, height, density, slope = (float(x) for x in look.brow)
    along = fields[:, heads.BROW_ALONG] * np.float32(1 / 255)
    above = (fields[:, heads.BROW_ABOVE] - 128) * np.float32(1e-4) - height - slope * 0.03 * (along - 0.3)
    width = half * np.interp(along, [0, 0.12, 0.45, 0.8, 1.0], [0.75, 1.0, 0.95, 0.6, 0.12]).astype(
        np.float32
    )
    inside = (
        step(width - np.abs(above), -0.0011, 0.0010) * step(along, 0.012, 0.08) * step(-along, -0.999, -0.93)
    )
    return inside * np.float32(density) * (0.88 + 0.24 * fine)


def _scalp(look: Look, fields: Floats, fine: Floats) -> Floats:
    kind, _, shift, fringe = (float(x) for x in look.hair[:4])
    above = (fields[:, heads.HAIRLINE] - 128) * np.float32(5e-4) - shift
    dense = (0.2, 0.86, 0.95)[int(kind)]
    return step(above + 0.003 * fine, -0.002, 0.007) * np.float32(dense)


def eye(look: Look, place: Floats) -> Surface:
    """Sclera, iris, limbal ring and pupil from the place on the unit eyeball."""
    radius = np.sqrt(place[:, 0] ** 2 + place[:, 1] ** 2)
    radius = np.where(place[:, 2] > 0, radius, 2.0)
    iris = look.albedo[3]
    k = len(place)
    veins = step(radius, 0.5, 1.0)[:, None] * np.array([0.02, 0.16, 0.17], np.float32)
    white = np.array([0.66, 0.64, 0.62], np.float32) * (1 - veins)
    turn = np.arctan2(place[:, 1], place[:, 0])
    spokes = 1 + 0.22 * np.sin(turn * 11 + np.sin(turn * 5) * 2).astype(np.float32)
    ring = iris * (spokes * (0.75 + 0.9 * step(-radius, -0.36, -0.16)))[:, None]
    ring = _mix(ring, iris * 0.25, step(radius, 0.33, 0.42))
    albedo = _mix(ring, white, step(radius, 0.395, 0.435))
    albedo = _mix(albedo, np.full(3, 0.004, np.float32), step(-radius, -0.185, -0.15))
    # The upper lid and its lashes shade the top of the eye.
    shade = 1 - 0.5 * step(place[:, 1], 0.02, 0.5)
    return Surface(albedo, np.full(k, 0.75, np.float32), np.ones(k, bool), shade)


def plain(colour: Floats, gloss: float, k: int) -> Surface:
    """The same material on k samples."""
    return Surface(
        np.broadcast_to(np.asarray(colour, np.float32), (k, 3)).copy(),
        np.full(k, gloss, np.float32),
        np.zeros(k, bool),
        np.ones(k, np.float32),
    )


def inside(look: Look, part: int, k: int) -> Surface:
    """Mouth cavity, teeth, tongue or the inner side of the hair."""
    if part == heads.MOUTH:
        return plain(np.array([0.20, 0.045, 0.045], np.float32), 0.03, k)
    if part == heads.TEETH:
        yellow = 0.12 * max(0.0, look.age - 0.5)
        return plain(np.array([0.72, 0.69 - yellow * 0.4, 0.60 - yellow], np.float32), 0.2, k)
    if part == heads.TONGUE:
        return plain(np.array([0.42, 0.12, 0.12], np.float32), 0.1, k)
    return plain(look.albedo[2] * 0.35, 0.0, k)


def strands(look: Look, place: Floats) -> tuple[Surface, Floats]:
    """Hair on the shell, with its opacity.

    Args:
        look: the face's colours.
        place: (k, 4) angle and polar angle in degrees, drop in metres, metres above the hairline.
    """
    curl = float(look.hair[6])
    along = place[:, 1] * 0.9 + place[:, 2] * 420
    across = place[:, 0] * (2.2 + 2 * curl) + curl * 9 * np.sin(along * 0.16)
    streak = noise(0, across, along * (0.12 + 0.9 * curl))
    wave = noise(1, across * 0.5, along * 0.2)
    alpha = step(place[:, 3] + 0.004 * streak + 0.002 * wave, 0.0005, 0.008)
    albedo = look.albedo[2] * (1 + 0.42 * streak + 0.22 * wave)[:, None]
    k = len(place)
    return Surface(albedo, 0.05 + 0.05 * (1 + streak), np.zeros(k, bool), np.ones(k, np.float32)), alpha


def lashes(look: Look, length: Floats) -> tuple[Surface, Floats]:
    """Lashes with their opacity, which fades from the lid outwards.

    Args:
        look: the face's colours.
        length: (k,) metres off the lid.
    """
    alpha = 0.85 * step(-length, -look.lashes, -0.2 * look.lashes)
    return plain(np.minimum(look.albedo[2] * 0.3, 0.03), 0.0, len(length)), alpha
