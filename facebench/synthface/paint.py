"""Materials of visible samples: skin, lips, brows, scalp, eyes, mouth, lashes, shirt and hair.

Arrays are channel-first, (3, k): NumPy is several times faster along long rows than along rows of three.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from facebench.synthface import head as heads
from facebench.synthface.head import Head

Floats = NDArray[np.float32]
Ints = NDArray[np.integer]

NOISE_SIDE = 256  # side of the noise tile


@dataclass
class Surface:
    """Material of k visible samples.

    Attributes:
        albedo: (3, k) diffuse colour, linear RGB.
        gloss: (k,) strength of the highlight.
        wet: (k,) 1 for the sharper highlight of a wet surface, else 0.
        shade: (k,) fraction of the light that arrives; below 1 under the upper lid.
    """

    albedo: Floats
    gloss: Floats
    wet: Floats
    shade: Floats

    @staticmethod
    def plain(colour: Floats, gloss: float, k: int) -> Surface:
        """Return k samples of one dry material."""
        albedo = np.repeat(np.asarray(colour, np.float32)[:, None], k, axis=1)
        return Surface(albedo, np.full(k, gloss, np.float32), np.zeros(k, np.float32), np.ones(k, np.float32))

    def put(self, rows: Ints, other: Surface) -> None:
        """Replace the samples `rows`."""
        self.albedo[:, rows], self.gloss[rows] = other.albedo, other.gloss
        self.wet[rows], self.shade[rows] = other.wet, other.shade


@dataclass(frozen=True)
class Look:
    """Colours of one face: rows of `Parameters`, and the length of the lashes in metres."""

    albedo: Floats
    brow: Floats
    hair: Floats
    beard: float
    blush: float
    freckles: float
    garment: Floats
    age: float
    lashes: float


def smooth_step(x: Floats, low: float, high: float) -> Floats:
    """Return the smooth step from 0 at `low` to 1 at `high`."""
    t = (x - np.float32(low)) * np.float32(1 / (high - low))
    np.clip(t, 0, 1, out=t)
    smooth: Floats = t * t * (3 - 2 * t)
    return smooth


@cache
def noise_tiles() -> Floats:
    """Return two noise tiles in [-1, 1], (2, NOISE_SIDE * NOISE_SIDE): fine and coarse."""
    rng = np.random.default_rng(20240607)
    white = rng.normal(size=(NOISE_SIDE, NOISE_SIDE))
    frequencies = np.fft.fftfreq(NOISE_SIDE)
    frequency = np.hypot(frequencies[:, None], frequencies[None]) * NOISE_SIDE
    layers = []
    for centre in (60.0, 9.0):
        band = np.exp(-((np.log(np.maximum(frequency, 0.5) / centre) / 0.6) ** 2))
        layer = np.fft.ifft2(np.fft.fft2(white) * band).real
        layers.append(np.clip(layer / (2.5 * layer.std()), -1, 1).ravel())
    return np.array(layers, np.float32)


def noise(layer: int, x: Floats, y: Floats) -> Floats:
    """Sample a noise tile at coordinates in texels, by nearest neighbour."""
    column, row = (
        np.floor(x).astype(np.int32) & (NOISE_SIDE - 1),
        np.floor(y).astype(np.int32) & (NOISE_SIDE - 1),
    )
    values: Floats = noise_tiles()[layer][row * NOISE_SIDE + column]
    return values


def _fields(head: Head, x: Floats, y: Floats) -> Floats:
    """Sample the painted fields bilinearly at texel coordinates; (8, k)."""
    x, y = x - np.float32(0.5), y - np.float32(0.5)
    left, top = np.floor(x), np.floor(y)
    fx, fy = x - left, y - top
    corner = top.astype(np.int32) * head.side + left.astype(np.int32)
    index = np.stack([corner, corner + 1, corner + head.side, corner + head.side + 1], 1)
    weights = np.stack([(1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy], 1)
    return lookup(np.clip(index, 0, head.side * head.side - 1), weights, head.fields)


def lookup(index: Ints, weights: Floats, table: Floats) -> Floats:
    """Return (c, k) weighted sums of rows of a (v, c) table.

    A sparse product is several times faster than indexing.

    Args:
        index: (k, m) rows.
        weights: (k, m) weights.
        table: (v, c) values.
    """
    k, m = weights.shape
    pointers = np.arange(0, k * m + 1, m, dtype=np.int32)
    matrix = sparse.csr_matrix((weights.ravel(), index.ravel(), pointers), shape=(k, len(table)))
    sums: Floats = np.ascontiguousarray((matrix @ table).T)
    return sums


def _mix(base: Floats, colour: Floats, alpha: Floats) -> Floats:
    """Blend a colour, (3,) or (3, k), over (3, k) with opacity (k,), in place."""
    over = colour[:, None] if colour.ndim == 1 else colour
    base += (over - base) * alpha
    return base


def skin(head: Head, look: Look, x: Floats, y: Floats, garment: Floats) -> Surface:
    """Return skin with make-up, hair stubble and shirt at texel coordinates x and y."""
    fields = _fields(head, x, y)
    fine, smooth = noise(0, x * 1.3, y * 1.3), noise(1, x * 0.9, y * 0.9)
    tone, lips, hair = look.albedo[0], look.albedo[1], look.albedo[2]
    albedo = tone[:, None] * (1 + 0.05 * smooth + 0.03 * fine)
    flush = fields[heads.BLUSH] * np.float32(look.blush / 255)
    albedo *= 1 - np.array([[0.02], [0.22], [0.20]], np.float32) * flush
    if look.freckles > 0.15:
        spots = smooth_step(noise(0, x * 0.55 + 31, y * 0.55), 0.45, 0.75) * (fields[heads.BLUSH] > 20)
        _mix(
            albedo, tone * np.array([0.62, 0.48, 0.42], np.float32), spots * np.float32(0.75 * look.freckles)
        )
    albedo *= 1 - np.array([[0.13], [0.16], [0.14]], np.float32) * (fields[heads.LIDS] * np.float32(1 / 255))
    if look.beard > 0.02:
        stubble = fields[heads.BEARD] * np.float32(1.1 * look.beard / 255) * (0.65 + 0.35 * fine)
        _mix(albedo, hair * np.float32(0.8) + tone * np.float32(0.04), np.clip(stubble, 0, 0.93))
    mouth = smooth_step(fields[heads.LIPS], 119, 137)
    _mix(albedo, lips[:, None] * (1 + 0.12 * fine), mouth * np.float32(0.92))
    _mix(albedo, hair * np.float32(0.9) + tone * np.float32(0.06), _brow(look, fields, fine))
    _mix(albedo, hair * np.float32(0.75) + tone * np.float32(0.08), _scalp(look, fields, fine))
    shirt = smooth_step(garment, -0.0012, 0.0012)
    _mix(albedo, look.garment[:, None] * (1 - 0.35 * smooth_step(-garment, -0.006, 0.0)), shirt)
    k = len(x)
    return Surface(
        albedo, (0.055 + 0.07 * mouth) * (1 - shirt), np.zeros(k, np.float32), np.ones(k, np.float32)
    )


def _brow(look: Look, fields: Floats, fine: Floats) -> Floats:
    half, height, density, slope = (float(x) for x in look.brow)
    along = fields[heads.BROW_ALONG] * np.float32(1 / 255)
    above = (
        (fields[heads.BROW_ABOVE] - 128) * np.float32(1e-4)
        - np.float32(height)
        - np.float32(slope * 0.03) * (along - 0.3)
    )
    profile = np.interp(np.linspace(0, 1, 65), [0, 0.12, 0.45, 0.8, 1.0], [0.75, 1.0, 0.95, 0.6, 0.12]) * half
    width = profile.astype(np.float32)[(along * 64).astype(np.int32)]
    inside = smooth_step(width - np.abs(above), -0.0011, 0.0010)
    inside *= smooth_step(along, 0.012, 0.08) * smooth_step(-along, -0.999, -0.93)
    return inside * np.float32(density) * (0.88 + 0.24 * fine)


def _scalp(look: Look, fields: Floats, fine: Floats) -> Floats:
    kind, _, shift = (float(x) for x in look.hair[:3])
    above = (fields[heads.HAIRLINE] - 128) * np.float32(5e-4) - np.float32(shift)
    dense = (0.2, 0.86, 0.95)[int(kind)]
    return smooth_step(above + 0.003 * fine, -0.002, 0.007) * np.float32(dense)


def eye(look: Look, x: Floats, y: Floats, z: Floats) -> Surface:
    """Return sclera, iris, limbal ring and pupil at positions on the unit eyeball; z is the optical axis."""
    radius = np.where(z > 0, np.sqrt(x * x + y * y), np.float32(2))
    iris = look.albedo[3]
    veins = np.array([[0.02], [0.16], [0.17]], np.float32) * smooth_step(radius, 0.5, 1.0)
    white = np.array([[0.72], [0.70], [0.68]], np.float32) * (1 - veins)
    turn = np.arctan2(y, x)
    spokes = 1 + 0.22 * np.sin(turn * 11 + np.sin(turn * 5) * 2)
    albedo = iris[:, None] * (spokes * (0.75 + 0.9 * smooth_step(-radius, -0.36, -0.16)))
    _mix(albedo, iris * np.float32(0.25), smooth_step(radius, 0.33, 0.42))
    _mix(albedo, white, smooth_step(radius, 0.395, 0.435))
    _mix(albedo, np.full(3, 0.004, np.float32), smooth_step(-radius, -0.185, -0.15))
    # The upper lid and its lashes cast a shadow on the top of the eye.
    k = len(x)
    return Surface(
        albedo, np.full(k, 0.75, np.float32), np.ones(k, np.float32), 1 - 0.45 * smooth_step(y, 0.05, 0.5)
    )


def inside(look: Look, part: int, k: int) -> Surface:
    """Return mouth cavity, teeth, tongue or the inner side of the hair."""
    if part == heads.MOUTH:
        return Surface.plain(np.array([0.20, 0.045, 0.045], np.float32), 0.03, k)
    if part == heads.TEETH:
        yellow = 0.12 * max(0.0, look.age - 0.5)
        return Surface.plain(np.array([0.60, 0.57 - yellow * 0.4, 0.49 - yellow], np.float32), 0.2, k)
    if part == heads.TONGUE:
        return Surface.plain(np.array([0.42, 0.12, 0.12], np.float32), 0.1, k)
    return Surface.plain(look.albedo[2] * 0.35, 0.0, k)


def strands(look: Look, position: Floats) -> tuple[Surface, Floats]:
    """Return hair on the shell and its opacity.

    Args:
        look: colours of the face.
        position: (4, k) angle and polar angle in degrees, drop in metres, metres above the hairline.
    """
    curl = float(look.hair[6])
    along = position[1] * 0.9 + position[2] * 420
    across = position[0] * (2.2 + 2 * curl) + curl * 9 * np.sin(along * 0.16)
    streak = noise(0, across, along * (0.12 + 0.9 * curl))
    wave = noise(1, across * 0.5, along * 0.2)
    alpha = smooth_step(position[3] + 0.004 * streak + 0.002 * wave, 0.0005, 0.008)
    albedo = look.albedo[2][:, None] * (1 + 0.42 * streak + 0.22 * wave)
    k = position.shape[1]
    return Surface(albedo, 0.05 + 0.05 * (1 + streak), np.zeros(k, np.float32), np.ones(k, np.float32)), alpha


def lashes(look: Look, length: Floats) -> tuple[Surface, Floats]:
    """Return lashes and their opacity, which fades outwards from the lid.

    Args:
        look: colours of the face.
        length: (k,) metres from the lid.
    """
    alpha = 0.85 * smooth_step(-length, -look.lashes, -0.2 * look.lashes)
    return Surface.plain(np.minimum(look.albedo[2] * 0.3, 0.03), 0.0, len(length)), alpha
