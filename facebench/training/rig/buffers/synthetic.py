"""Codes of synthetic faces, which are known, and their buffers, which are exact."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from facebench.core.errors import InputError
from facebench.images.image_set import ImageSet, Item
from facebench.images.manifest import read_manifest
from facebench.synthface import FaceModel, Parameters, load_parameters
from facebench.training.rig.buffers.extractors import Found, NotFound
from facebench.training.rig.buffers.flame_codes import Codes, What, take
from facebench.training.rig.buffers.images import Picture, Planes

PARTS: dict[What, tuple[str, ...]] = {
    # The jaw is among the 52 units of ψ.
    "expression": ("psi", "expression", "intensity"),
    "light": ("light", "lamps"),
    "pose": ("pose",),
}


class SynthfaceSpace:
    """Codes are the arrays of `facebench.synthface.Parameters`, drawn by the renderer of the images."""

    name = "synthface"
    brightest = 1.0
    shape: tuple[str, ...] = ("beta", "age", "gender", "ancestry", "weight")

    def __init__(self) -> None:
        self._model = FaceModel()

    def draw(self, codes: Codes, size: int) -> Planes:
        """Exact normals, albedo and Lambertian rendering."""
        known = self._model.buffers(_parameters(codes), size)
        return Planes(known.rendered[0], known.normal[0], known.albedo[0])

    def photo(self, codes: Codes, size: int) -> Picture:
        """The image itself."""
        image: Picture = self._model.render(_parameters(codes), size)[0]
        return image

    def transferred(self, onto: Codes, of: Codes, what: What) -> Codes:
        """Replace ψ (which holds the jaw), the lamps, or the head's pose."""
        return onto | {name: of[name] for name in PARTS[what]}


class Exact:
    """Reads the parameters that a set of synthetic faces was rendered from."""

    name = "synthface"

    def __init__(self) -> None:
        self.space = SynthfaceSpace()
        self.weights: dict[str, str] = {}
        self._known: dict[Path, tuple[Parameters, dict[str, int]]] = {}

    def read(self, images: ImageSet, items: Sequence[Item], size: int) -> list[Found | NotFound]:
        """Codes and images of some faces of a set that `facebench synth` wrote.

        Raises:
            InputError: the set was not written by `facebench synth`, or its images and parameters differ in number.
        """
        parameters, rows = self._of(images)
        found: list[Found | NotFound] = []
        for item in items:
            codes = take(parameters.arrays(), [rows[item.name]])
            found.append(Found(codes, self.space.photo(codes, size)))
        return found

    def _of(self, images: ImageSet) -> tuple[Parameters, dict[str, int]]:
        if images.root not in self._known:
            parameters = load_parameters(images.root / "parameters.npz")
            # Rows of both files are in the order of rendering, which is not that of the names.
            table = read_manifest(images.root / "manifest.csv")
            rows = {row.columns["image"]: place for place, row in enumerate(table)}
            if len(rows) != len(parameters):
                raise InputError(
                    f"{images.root}: {len(rows)} images, but parameters of {len(parameters)}. "
                    "Give the folder as `facebench synth` left it."
                )
            self._known[images.root] = (parameters, rows)
        return self._known[images.root]


def _parameters(codes: Codes) -> Parameters:
    return Parameters(**{name: np.asarray(array[:1]) for name, array in codes.items()})
