"""Extractor of synthetic faces: known codes, and buffers rendered from them without error."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from facebench.core.errors import InputError
from facebench.images.image_set import ImageSet, Item
from facebench.images.manifest import read_manifest
from facebench.synthface import FaceModel, Parameters, load_parameters
from facebench.training.rig.buffers.flame_codes import SHAPE_CODES, Codes, TransferKind, take
from facebench.training.rig.buffers.images import BufferImages, ImageArray
from facebench.training.rig.buffers.results import Found, NotFound

PARTS: dict[TransferKind, tuple[str, ...]] = {
    # ψ includes the jaw.
    "expression": ("psi", "expression", "intensity"),
    "light": ("light", "lamps"),
    "pose": ("pose",),
}
"""Codes that a transfer replaces."""


class SynthfaceSpace:
    """Space of `facebench.synthface.Parameters`, rendered by the renderer of the images."""

    name = "synthface"
    brightest = 1.0
    shape = SHAPE_CODES["synthface"]

    def __init__(self) -> None:
        self._model = FaceModel()

    def draw(self, codes: Codes, size: int) -> BufferImages:
        """Render normals, albedo and Lambertian shading of the first face."""
        buffers = self._model.buffers(_parameters(codes), size)
        return BufferImages(buffers.rendered[0], buffers.normal[0], buffers.albedo[0])

    def photo(self, codes: Codes, size: int) -> ImageArray:
        """Render the image of the first face."""
        image: ImageArray = self._model.render(_parameters(codes), size)[0]
        return image

    def transferred(self, onto: Codes, of: Codes, kind: TransferKind) -> Codes:
        """Replace ψ (which includes the jaw), the lamps, or the head pose."""
        return onto | {name: of[name] for name in PARTS[kind]}


class Exact:
    """Extractor that reads the parameters a set of synthetic faces was rendered from."""

    name = "synthface"

    def __init__(self) -> None:
        self.space = SynthfaceSpace()
        self.weights: dict[str, str] = {}
        self._sets: dict[Path, tuple[Parameters, dict[str, int]]] = {}

    def read(self, images: ImageSet, items: Sequence[Item], size: int) -> list[Found | NotFound]:
        """Read codes and render photos of some faces of a set that `facebench synth` wrote.

        Raises:
            InputError: the set was not written by `facebench synth`, or images and parameters differ in number.
        """
        parameters, row_of = self._parameters_of(images)
        results: list[Found | NotFound] = []
        for item in items:
            codes = take(parameters.arrays(), [row_of[item.name]])
            results.append(Found(codes, self.space.photo(codes, size)))
        return results

    def _parameters_of(self, images: ImageSet) -> tuple[Parameters, dict[str, int]]:
        """Parameters of a set, and the row of each image by name."""
        if images.root not in self._sets:
            parameters = load_parameters(images.root / "parameters.npz")
            # Manifest and parameters are in the order of rendering, the items of the set in that of their names.
            table = read_manifest(images.root / "manifest.csv")
            row_of = {row.columns["image"]: number for number, row in enumerate(table)}
            if len(row_of) != len(parameters):
                raise InputError(
                    f"{images.root}: {len(row_of)} images, but parameters of {len(parameters)}. "
                    "Give the unchanged folder of `facebench synth`."
                )
            self._sets[images.root] = (parameters, row_of)
        return self._sets[images.root]


def build(name: str, device: str) -> Exact:
    """Build the extractor; it needs no network, so `device` has no effect."""
    return Exact()


def _parameters(codes: Codes) -> Parameters:
    return Parameters(**{name: np.asarray(array[:1]) for name, array in codes.items()})
