"""Face model: sample parameters of faces and render them to images and physical buffers."""

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

MIN_SIZE, MAX_SIZE = 16, 1024


@dataclass(frozen=True)
class Buffers:
    """Physical buffers of n images of side s. Display values are the square root of linear light.

    Attributes:
        image: (n, s, s, 3) uint8, identical to the output of `FaceModel.render`.
        normal: (n, s, s, 3) float32 unit normals in camera space (x right, y up, z towards the viewer), 0 off
            the face.
        albedo: (n, s, s, 3) float32 diffuse colour in [0, 1], display values, 0 off the face.
        shading: (n, s, s, 3) float32 diffuse light, display values: image ≈ albedo × shading outside highlights.
        rendered: (n, s, s, 3) float32 Lambertian rendering in [0, 1], display values: albedo × shading, without
            highlights or background; called `rendered` by DiffusionRig.
        mask: (n, s, s) float32 fraction of the pixel covered by the figure.
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
    """Parametric face model with ground truth.

    Rendering is a pure function of the parameters of a face. It does not depend on the other faces of a set.

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
        """Sample n faces of an infinite set; face i does not depend on n.

        Args:
            n: number of faces.
            seed: seed of the set.
            images: images per person; face i is image i % images of person i // images.
            start: index of the first face.
            expressions: names to sample from, all by default; several images per person cycle through them.

        Returns:
            Parameters with n rows.

        Raises:
            InputError: n or images below 1, a negative seed or start, or an unknown expression.
        """
        return draw(n, seed, images=images, start=start, names=expressions)

    def render(self, parameters: Parameters, size: int = 128) -> Images:
        """Render RGB images.

        Args:
            parameters: n faces.
            size: pixels per side, from 16 to 1024.

        Returns:
            (n, size, size, 3) uint8.

        Raises:
            InputError: a size outside the range.
        """
        _check_size(size)
        return np.stack(
            [_image(parameters, i, samples(parameters, i, size), size) for i in range(len(parameters))]
        )

    def buffers(self, parameters: Parameters, size: int = 128) -> Buffers:
        """Render images together with normals, albedo, shading, Lambertian rendering, mask and depth.

        Raises:
            InputError: a size outside the range.
        """
        _check_size(size)
        rows = [_buffers(parameters, i, size) for i in range(len(parameters))]
        return Buffers(**{name: np.stack([row[name] for row in rows]) for name in rows[0]})


def _check_size(size: int) -> None:
    if not MIN_SIZE <= size <= MAX_SIZE:
        raise InputError(f"The size of a face must be {MIN_SIZE} to {MAX_SIZE} pixels, not {size}.")


def _image(parameters: Parameters, row: int, visible: Samples, size: int) -> Images:
    diffuse, specular = light(parameters, row, visible)
    # Clip before averaging, so that a highlight does not bleed over its edge.
    radiance = np.minimum(visible.surface.albedo * diffuse + specular, 1)
    figure = visible.average(np.concatenate([radiance, np.ones((1, radiance.shape[1]), np.float32)]), size)
    linear = figure[:3] + backdrop.paint(parameters, row, size) * (1 - figure[3])
    display: Images = np.round(np.sqrt(linear) * 255).astype(np.uint8)
    return display.transpose(1, 2, 0)


def _buffers(parameters: Parameters, row: int, size: int) -> dict[str, NDArray[np.generic]]:
    visible = samples(parameters, row, size)
    diffuse, _ = light(parameters, row, visible)
    albedo = np.clip(visible.surface.albedo, 0, 1)
    ones = np.ones((1, albedo.shape[1]), np.float32)
    channels = np.concatenate([visible.normal, albedo, albedo * diffuse, visible.depth[None], ones])
    pixels = visible.average(channels, size)
    normal, albedo, rendered, depth, mask = pixels[:3], pixels[3:6], pixels[6:9], pixels[9], pixels[10]
    coverage = np.where(mask > 0, mask, 1)
    length = np.sqrt((normal**2).sum(0))
    shading = np.divide(rendered, albedo, out=np.zeros_like(rendered), where=albedo > 0)
    return {
        "image": _image(parameters, row, visible, size),
        "normal": (normal / np.where(length > 0, length, 1)).transpose(1, 2, 0),
        "albedo": np.sqrt(albedo / coverage).transpose(1, 2, 0),
        "shading": np.sqrt(shading).transpose(1, 2, 0),
        "rendered": np.sqrt(np.minimum(rendered / coverage, 1)).transpose(1, 2, 0),
        "mask": mask,
        "depth": depth / coverage,
    }
