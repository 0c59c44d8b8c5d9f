"""Controlled damage for validating metrics: each kind has a strength from 0 (untouched) to 1 (severe) and a seed.

Image level (uint8 arrays): blur, jpeg, noise, occlusion. Parameter level: identity_drift,
expression_strength. Set level:
mode_collapse. A metric that does not move when one of these grows does not measure what it should.
"""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from facebench.core.errors import InputError
from facebench.synthface.dataset import Progress, load_parameters, new_folder, render_to, save_parameters
from facebench.synthface.parameters import IDENTITY_FIELDS, Parameters
from facebench.synthface.sampling import person

Images = NDArray[np.uint8]


def blur(images: Images, strength: float, seed: int = 0) -> Images:
    """Gaussian blur with a standard deviation of up to 1/20 of the height.

    Args:
        images: (h, w, 3) or (n, h, w, 3) uint8.
        strength: 0 to 1.
        seed: not used: this kind has no randomness.

    Returns:
        An array of the same shape.

    Raises:
        InputError: a strength outside [0, 1], or an array of another kind.
    """
    sigma = strength * images.shape[-3] / 20

    def soften(image: Images, _: np.random.Generator) -> NDArray[Any]:
        return np.asarray(ndimage.gaussian_filter(image.astype(np.float32), (sigma, sigma, 0)))

    return _each(images, strength, seed, soften)


def jpeg(images: Images, strength: float, seed: int = 0) -> Images:
    """JPEG compression with a quality from 90 down to 2. Arguments, result and errors as `blur`."""
    quality = round(90 - 88 * strength)

    def squeeze(image: Images, _: np.random.Generator) -> Images:
        stream = io.BytesIO()
        Image.fromarray(image).save(stream, "JPEG", quality=quality)
        return np.asarray(Image.open(stream))

    return _each(images, strength, seed, squeeze)


def noise(images: Images, strength: float, seed: int = 0) -> Images:
    """Gaussian noise with a standard deviation of up to 80 grey levels.

    Arguments, result and errors as `blur`.
    """
    return _each(images, strength, seed, lambda image, rng: image + rng.normal(0, 80 * strength, image.shape))


def occlusion(images: Images, strength: float, seed: int = 0) -> Images:
    """A plain box over up to 45 % of the image; it grows around a fixed point.

    Arguments, result and errors as `blur`.
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


def identity_drift(parameters: Parameters, strength: float, seed: int = 0) -> Parameters:
    """Every image drifts towards a stranger of its own: shape, age, colours, brows; at strength 1 it is that stranger.

    Args:
        parameters: n faces.
        strength: 0 to 1, the share of the stranger.
        seed: which strangers.

    Returns:
        n faces with the same labels, expressions, poses and lights.

    Raises:
        InputError: a strength outside [0, 1].
    """
    _check(strength)
    # Strangers come from far beyond the numbers that a set of faces uses.
    strangers = [person(seed, 10**9 + i) for i in range(len(parameters))]
    changed: dict[str, NDArray[Any]] = {}
    for name in IDENTITY_FIELDS[1:]:
        own, other = parameters.arrays()[name], np.stack([s[name] for s in strangers])
        if name == "hair":  # Its kind is a choice, so that half a stranger is no one's hair.
            changed[name] = np.where(strength > 0.5, other, own).astype(own.dtype)
        else:
            changed[name] = ((1 - strength) * own + strength * other).astype(own.dtype)
    return parameters.but(**changed)


def expression_strength(parameters: Parameters, strength: float, seed: int = 0) -> Parameters:
    """Expressions fade: ψ times 1 - strength, so that 1 leaves every face neutral.

    Arguments, result and errors as `identity_drift`.
    """
    _check(strength)
    return parameters.but(psi=(parameters.psi * (1 - strength)).astype(np.float32))


def mode_collapse(parameters: Parameters, strength: float, seed: int = 0) -> Parameters:
    """A share of the set becomes near-copies of one face in twenty.

    Arguments, result and errors as `identity_drift`.
    A near-copy keeps person, expression, light and background, and moves by less than a degree or so.
    """
    _check(strength)
    n = len(parameters)
    rng = np.random.default_rng([seed, n])
    # The same order at every strength: more strength only adds to what has collapsed.
    order, models = rng.permutation(n), rng.permutation(n)[: max(1, n // 20)]
    source = np.arange(n)
    lost = order[: round(strength * n)]
    source[lost] = models[lost % len(models)]
    collapsed = parameters.take(source)
    jitter = np.zeros((n, 3), np.float32)
    jitter[lost] = rng.normal(0, 0.7, (n, 3)).astype(np.float32)[lost]
    return collapsed.but(pose=collapsed.pose + jitter)


ON_IMAGES: dict[str, Callable[[Images, float, int], Images]] = {
    "blur": blur, "jpeg": jpeg, "noise": noise, "occlusion": occlusion
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
    workers: int | None = None,
    progress: Progress | None = None,
) -> Path:
    """Write a damaged copy of a set that `write` made; its manifest keeps saying what was asked for.

    Args:
        out: new or empty folder.
        source: folder with manifest.csv, parameters.npz and images/.
        kind: one of `KINDS`.
        strength: 0 to 1.
        seed: of the damage.
        workers: rendering threads, by default one per processor.
        progress: called with (images done, images in all).

    Returns:
        The new manifest's path.

    Raises:
        InputError: unknown kind, a strength outside [0, 1], a folder that is no such set, or one that is not
            empty.
    """
    _check(strength)
    if kind not in KINDS:
        raise InputError(f"Unknown degradation {kind!r}. Use one of: {', '.join(KINDS)}.")
    old = Path(source)
    parameters = load_parameters(old / "parameters.npz")
    names = sorted(p.relative_to(old).as_posix() for p in old.glob("images/*/*.png"))
    if len(names) != len(parameters):
        raise InputError(
            f"{old} holds {len(names)} images but parameters of {len(parameters)} faces; write the set again."
        )
    folder = new_folder(out)
    if kind in ON_PARAMETERS:
        parameters = ON_PARAMETERS[kind](parameters, strength, seed)
        with Image.open(old / names[0]) as first:
            size = first.width
        render_to(folder, parameters, names, size, workers=workers, progress=progress)
    else:
        for i, name in enumerate(names):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            with Image.open(old / name) as image:
                damaged = ON_IMAGES[kind](np.asarray(image), strength, seed + i)
            Image.fromarray(damaged).save(folder / name, compress_level=4)
            if progress is not None:
                progress(i + 1, len(names))
    save_parameters(folder / "parameters.npz", parameters)
    shutil.copyfile(old / "manifest.csv", folder / "manifest.csv")
    return folder / "manifest.csv"


def _check(strength: float) -> None:
    if not 0.0 <= strength <= 1.0:
        raise InputError(f"The strength of a degradation lies between 0 and 1, not {strength}.")


def _each(
    images: Images,
    strength: float,
    seed: int,
    change: Callable[[Images, np.random.Generator], NDArray[np.generic]],
) -> Images:
    """Apply a change to every image with its own random numbers; strength 0 changes nothing."""
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
