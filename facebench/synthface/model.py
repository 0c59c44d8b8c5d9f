"""FaceModel: draw parameters of faces, and render them to images and physical buffers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facebench.core.errors import InputError
from facebench.synthface import backdrop
from facebench.synthface.parameters import Parameters
from facebench.synthface.sampling import draw
from facebench.synthface.shade import Samples, light, samples

Floats = NDArray[np.float32]
Images = NDArray[np.uint8]

SMALLEST, LARGEST = 16, 1024


@dataclass(frozen=True)
class Buffers:
    """What the renderer knows about n images of side s; display values are the square root of linear light.

    Attributes:
        image: (n, s, s, 3) uint8, the same bytes that `FaceModel.render` gives.
        normal: (n, s, s, 3) float32 unit normals in camera space (x right, y up, z towards the viewer), 0 off
            the face.
        albedo: (n, s, s, 3) float32 diffuse colour in [0, 1], display values, 0 off the face.
        shading: (n, s, s, 3) float32 diffuse light, display values: image ≈ albedo × shading where nothing
            shines.
        rendered: (n, s, s, 3) float32 Lambertian rendering in [0, 1], display values: albedo × shading, without
            highlights or background; the condition that DiffusionRig calls rendered.
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

    Rendering is a pure function of the parameters: the same parameters give the same bytes, whatever else is
    rendered with them.

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
        return draw(n, seed, images=images, start=start, names=expressions)

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
        return np.stack(
            [_image(parameters, i, samples(parameters, i, size), size) for i in range(len(parameters))]
        )

    def buffers(self, parameters: Parameters, size: int = 128) -> Buffers:
        """Render every face together with its normals, albedo, shading, Lambertian rendering, mask and depth.

        Raises:
            InputError: a size outside the range.
        """
        _check(size)
        rows = [_buffers(parameters, i, size) for i in range(len(parameters))]
        return Buffers(**{name: np.stack([row[name] for row in rows]) for name in rows[0]})


def _check(size: int) -> None:
    if not SMALLEST <= size <= LARGEST:
        raise InputError(f"A face can be rendered at {SMALLEST} to {LARGEST} pixels, not {size}.")


def _image(parameters: Parameters, row: int, seen: Samples, size: int) -> Images:
    diffuse, shine = light(parameters, row, seen)
    # Samples are clipped before they are averaged: a highlight must not bleed over its edge.
    bright = np.minimum(seen.surface.albedo * diffuse + shine, 1)
    figure = seen.average(np.concatenate([bright, np.ones((1, bright.shape[1]), np.float32)]), size)
    linear = figure[:3] + backdrop.paint(parameters, row, size) * (1 - figure[3])
    display: Images = np.round(np.sqrt(linear) * 255).astype(np.uint8)
    return display.transpose(1, 2, 0)


def _buffers(parameters: Parameters, row: int, size: int) -> dict[str, NDArray[np.generic]]:
    seen = samples(parameters, row, size)
    diffuse, _ = light(parameters, row, seen)
    albedo = np.clip(seen.surface.albedo, 0, 1)
    ones = np.ones((1, albedo.shape[1]), np.float32)
    flat = seen.average(np.concatenate([seen.normal, albedo, albedo * diffuse, seen.depth[None], ones]), size)
    normal, albedo, rendered, depth, mask = flat[:3], flat[3:6], flat[6:9], flat[9], flat[10]
    share = np.where(mask > 0, mask, 1)
    length = np.sqrt((normal**2).sum(0))
    lit = np.divide(rendered, albedo, out=np.zeros_like(rendered), where=albedo > 0)
    return {
        "image": _image(parameters, row, seen, size),
        "normal": (normal / np.where(length > 0, length, 1)).transpose(1, 2, 0),
        "albedo": np.sqrt(albedo / share).transpose(1, 2, 0),
        "shading": np.sqrt(lit).transpose(1, 2, 0),
        "rendered": np.sqrt(np.minimum(rendered / share, 1)).transpose(1, 2, 0),
        "mask": mask,
        "depth": depth / share,
    }
