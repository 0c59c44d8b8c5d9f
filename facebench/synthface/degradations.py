"""Controlled degradations for the validation of metrics, with a strength from 0 (unchanged) to 1 (severe) and a seed.

Of images: blur, jpeg, noise, occlusion, darkness. Of parameters: identity_drift, expression_strength.
Of sets: mode_collapse.
A valid metric changes with the strength of the degradations that it is meant to detect.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from facebench.core.errors import InputError
from facebench.core.files import atomic_write_bytes
from facebench.core.suggest import suggest
from facebench.synthface.dataset import (
    RenderOptions,
    load_parameters,
    new_folder,
    render_to,
    save_parameters,
)
from facebench.synthface.parameters import IDENTITY_FIELDS, Parameters
from facebench.synthface.sampling import person

Images = NDArray[np.uint8]
_GAMMA = 2.2
"""Exponent that approximates the curve of sRGB: a factor of linear light is a power of it in stored values."""


def blur(images: Images, strength: float, seed: int = 0) -> Images:
    """Gaussian blur with a standard deviation of up to 1/20 of the height.

    Args:
        images: (h, w, 3) or (n, h, w, 3) uint8.
        strength: 0 to 1.
        seed: unused, because blur is deterministic.

    Returns:
        uint8 array of the same shape.

    Raises:
        InputError: the strength is outside [0, 1], or the array has another type or shape.
    """
    sigma = strength * images.shape[-3] / 20

    def soften(image: Images, _: np.random.Generator) -> NDArray[Any]:
        return np.asarray(ndimage.gaussian_filter(image.astype(np.float32), (sigma, sigma, 0)))

    return _each(images, strength, seed, soften)


def jpeg(images: Images, strength: float, seed: int = 0) -> Images:
    """JPEG compression with a quality from 90 down to 2. Arguments, result and errors as for `blur`."""
    quality = round(90 - 88 * strength)

    def compress(image: Images, _: np.random.Generator) -> Images:
        stream = io.BytesIO()
        Image.fromarray(image).save(stream, "JPEG", quality=quality)
        return np.asarray(Image.open(stream))

    return _each(images, strength, seed, compress)


def noise(images: Images, strength: float, seed: int = 0) -> Images:
    """Gaussian noise with a standard deviation of up to 80 grey levels.

    Arguments, result and errors as for `blur`.
    """
    return _each(images, strength, seed, lambda image, rng: image + rng.normal(0, 80 * strength, image.shape))


def occlusion(images: Images, strength: float, seed: int = 0) -> Images:
    """Uniform box over up to 45 % of the image. It grows around a fixed point.

    Arguments, result and errors as for `blur`.
    """

    def cover(image: Images, rng: np.random.Generator) -> Images:
        height, width = image.shape[:2]
        y, x = rng.uniform(0.35, 0.65, 2) * (height, width)
        half_y, half_x = 0.5 * np.sqrt(0.45 * strength) * np.array([height, width])
        top, left = (max(0, round(v)) for v in (y - half_y, x - half_x))
        covered = image.copy()
        covered[top : round(y + half_y), left : round(x + half_x)] = rng.integers(0, 256, 3)
        return covered

    return _each(images, strength, seed, cover)


def darkness(images: Images, strength: float, seed: int = 0) -> Images:
    """Exposure that is lower by up to three stops, in linear light.

    Arguments, result and errors as for `blur`.
    """

    def expose(image: Images, _: np.random.Generator) -> NDArray[Any]:
        return np.asarray(image * 2.0 ** (-3.0 * strength / _GAMMA))

    return _each(images, strength, seed, expose)


def identity_drift(parameters: Parameters, strength: float, seed: int = 0) -> Parameters:
    """Interpolate the identity of each image towards a different stranger.

    Args:
        parameters: n faces.
        strength: 0 to 1, the weight of the stranger.
        seed: seed of the strangers.

    Returns:
        n faces with the same labels, expressions, poses and lights.

    Raises:
        InputError: the strength is outside [0, 1].
    """
    _check(strength)
    # Indices of strangers lie far above those of the people in a set.
    strangers = [person(seed, 10**9 + i) for i in range(len(parameters))]
    changed: dict[str, NDArray[Any]] = {}
    for name in IDENTITY_FIELDS[1:]:
        original, other = parameters.arrays()[name], np.stack([s[name] for s in strangers])
        if name == "hair":  # the kind of hair is categorical and cannot be interpolated
            changed[name] = np.where(strength > 0.5, other, original).astype(original.dtype)
        else:
            changed[name] = ((1 - strength) * original + strength * other).astype(original.dtype)
    return parameters.replace(**changed)


def expression_strength(parameters: Parameters, strength: float, seed: int = 0) -> Parameters:
    """Scale ψ by 1 - strength; strength 1 gives neutral faces.

    Arguments, result and errors as for `identity_drift`.
    """
    _check(strength)
    return parameters.replace(psi=(parameters.psi * (1 - strength)).astype(np.float32))


def mode_collapse(parameters: Parameters, strength: float, seed: int = 0) -> Parameters:
    """Replace a fraction of the set by near-copies of one face in twenty.

    A near-copy has the same person, expression, light and background, and differs in pose by about one degree.
    Arguments, result and errors as for `identity_drift`.
    """
    _check(strength)
    n = len(parameters)
    rng = np.random.default_rng([seed, n])
    # The order does not depend on the strength, so that a higher strength replaces a superset of the faces.
    order, templates = rng.permutation(n), rng.permutation(n)[: max(1, n // 20)]
    source = np.arange(n)
    replaced = order[: round(strength * n)]
    source[replaced] = templates[replaced % len(templates)]
    collapsed = parameters.take(source)
    jitter = np.zeros((n, 3), np.float32)
    jitter[replaced] = rng.normal(0, 0.7, (n, 3)).astype(np.float32)[replaced]
    return collapsed.replace(pose=collapsed.pose + jitter)


ON_IMAGES: dict[str, Callable[[Images, float, int], Images]] = {
    "blur": blur, "jpeg": jpeg, "noise": noise, "occlusion": occlusion,
    "darkness": darkness,
}  # fmt: skip
ON_PARAMETERS: dict[str, Callable[[Parameters, float, int], Parameters]] = {
    "identity_drift": identity_drift,
    "expression_strength": expression_strength,
    "mode_collapse": mode_collapse,
}
KINDS = (*ON_IMAGES, *ON_PARAMETERS)


def degrade(
    out: str | os.PathLike[str],
    source: str | os.PathLike[str],
    kind: str,
    strength: float,
    seed: int = 0,
    options: RenderOptions | None = None,
) -> Path:
    """Write a degraded copy of a set written by `write`. The manifest keeps the original labels.

    Args:
        out: new or empty folder.
        source: folder with manifest.csv, parameters.npz and images/.
        kind: one of `KINDS`.
        strength: 0 to 1.
        seed: seed of the degradation.
        options: threads and progress.

    Returns:
        Path of the new manifest.

    Raises:
        InputError: the kind is unknown, the strength is outside [0, 1], the source is not a synthetic set, or the
            target is not empty.
    """
    _check(strength)
    if kind not in KINDS:
        raise InputError(f"Unknown degradation {kind!r}. {suggest(kind, KINDS)}")
    options = options or RenderOptions()
    original = Path(source)
    parameters = load_parameters(original / "parameters.npz")
    names = sorted(p.relative_to(original).as_posix() for p in original.glob("images/*/*.png"))
    if len(names) != len(parameters):
        raise InputError(
            f"{original} holds {len(names)} images but parameters of {len(parameters)} faces. Write the set again."
        )
    manifest = (original / "manifest.csv").read_bytes()
    folder = new_folder(out)
    if kind in ON_PARAMETERS:
        parameters = ON_PARAMETERS[kind](parameters, strength, seed)
        with Image.open(original / names[0]) as first:
            size = first.width
        render_to(folder, parameters, names, size, replace(options, buffers=False))
    else:
        for i, name in enumerate(names):
            _degrade_file(original / name, folder / name, kind, strength, seed + i)
            options.progress("degrading", i + 1, len(names))
    save_parameters(folder / "parameters.npz", parameters)
    atomic_write_bytes(folder / "manifest.csv", manifest)
    return folder / "manifest.csv"


def _degrade_file(source: Path, target: Path, kind: str, strength: float, seed: int) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(source) as image:
        degraded = ON_IMAGES[kind](np.asarray(image), strength, seed)
    Image.fromarray(degraded).save(target, compress_level=4)


def _check(strength: float) -> None:
    if not 0.0 <= strength <= 1.0:
        raise InputError(f"The strength of a degradation must be between 0 and 1, not {strength}.")


def _each(
    images: Images,
    strength: float,
    seed: int,
    change: Callable[[Images, np.random.Generator], NDArray[np.generic]],
) -> Images:
    """Apply a change to each image with its own random numbers; strength 0 returns a copy."""
    _check(strength)
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or images.shape[-1] != 3:
        raise InputError(
            f"Need uint8 images of shape (h, w, 3) or (n, h, w, 3), not {images.dtype} {images.shape}."
        )
    if strength == 0:
        return images.copy()
    stack = images.reshape(-1, *images.shape[-3:])
    changed = [change(image, np.random.default_rng([seed, i])) for i, image in enumerate(stack)]
    return np.clip(np.round(np.stack(changed)), 0, 255).astype(np.uint8).reshape(images.shape)
