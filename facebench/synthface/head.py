"""Head model: the base mesh of MakeHuman (CC0) with its sliders and expression units, loaded from head.npz."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

SKIN, MOUTH, LEFT_EYE, RIGHT_EYE, TEETH, TONGUE, LASHES, HAIR_INSIDE = range(8)
HAIR_ROWS, HANGING_ROWS = (
    26,
    8,
)  # vertices of the hair shell per strand, and how many of them lie below the ears
# Columns of Head.fields.
LIPS, BROW_ALONG, BROW_ABOVE, HAIRLINE, BEARD, BLUSH, LIDS = range(7)


@dataclass(frozen=True)
class Head:
    """Vertices, triangles and displacements of the head.

    Coordinates are in metres: x to the right of the image, y up, z towards the viewer, origin between the eyes.

    Attributes:
        mean: (v, 3) average young adult.
        states: (3, 2, 3, v * 3) displacement per age (child, young, old) × gender (male, female) × ancestry.
        weight: (2, 2, v * 3) displacement per gender (male, female) × weight (least, most).
        shape: sparse (v * 3, 258) displacement per slider, positive directions first.
        shape_names: the 129 slider names.
        expression: (52, v * 3) displacement per ARKit unit.
        expression_names: the 52 unit names.
        faces: (f, 3) triangles, counter-clockwise seen from outside.
        parts: (f,) part number per triangle.
        texel: (f, 3, 2) float32 column and row of each corner in the fields.
        fields: (side * side, 8) painted fields from 0 to 255, with the columns LIPS, BROW_ALONG ... LIDS and zeros.
        side: texels per row of the fields.
        occlusion: (v,) fraction of the sky visible from each vertex.
        garment: (v,) metres below the neckline of a shirt.
        hair_anchor, hair_resting, hair_outward, hair_place, hair_faces: hair shell (see tools/bake_paint.py).
    """

    mean: Floats
    states: Floats
    weight: Floats
    shape: Any
    shape_names: tuple[str, ...]
    expression: Floats
    expression_names: tuple[str, ...]
    faces: Ints
    parts: NDArray[np.uint8]
    texel: Floats
    fields: Floats
    side: int
    occlusion: Floats
    garment: Floats
    hair_anchor: Ints
    hair_resting: Floats
    hair_outward: Floats
    hair_place: Floats
    hair_faces: Ints

    @cached_property
    def eyes(self) -> tuple[Ints, Ints]:
        """Vertices of the left and of the right eyeball."""
        return np.unique(self.faces[self.parts == LEFT_EYE]), np.unique(self.faces[self.parts == RIGHT_EYE])

    @cached_property
    def eye_place(self) -> Floats:
        """(v, 3) position on the unit eyeball (+z is the optical axis); (0, 0, 0) for other vertices."""
        position = np.zeros_like(self.mean)
        for eye in self.eyes:
            points = self.mean[eye]
            offset = points - (points.min(0) + points.max(0)) / 2
            # The cornea bulges along z, so the radius is measured along x.
            position[eye] = offset / (np.ptp(points[:, 0]) / 2)
        return position

    @cached_property
    def follows(self) -> Floats:
        """(v, 1) weight of the head rotation: 1 on the head, 0 on the shoulders, blended along the neck."""
        lowest = -0.175 - 0.35 * (self.mean[:, 2] + 0.08)
        t = np.clip((self.mean[:, 1] - lowest) / 0.085, 0, 1)
        return (t * t * (3 - 2 * t)).astype(np.float32)[:, None]

    @cached_property
    def lash(self) -> Floats:
        """(v,) distance of lash vertices from the lids in metres, 0 for other vertices."""
        lashes = np.unique(self.faces[self.parts == LASHES])
        lids = self.mean[np.unique(self.faces[self.parts == SKIN])]
        length = np.zeros(len(self.mean), np.float32)
        length[lashes] = np.sqrt(((self.mean[lashes, None] - lids) ** 2).sum(-1).min(1))
        return length

    @cached_property
    def gather(self) -> Any:
        """Sparse (v, f) matrix that sums triangle normals at their corners."""
        return corner_sum(self.faces, len(self.mean))


def corner_sum(faces: Ints, vertices: int) -> Any:
    """Return the sparse (vertices, f) float32 matrix that sums values of triangles at their corners."""
    columns = np.tile(np.arange(len(faces)), 3)
    ones = np.ones(len(columns), np.float32)
    return sparse.csr_matrix((ones, (faces.T.ravel(), columns)), shape=(vertices, len(faces)))


@cache
def load() -> Head:
    """Load the head model of the package. The arrays are shared and must not be modified."""
    with (
        resources.files(__package__).joinpath("head.npz").open("rb") as file,
        np.load(file, allow_pickle=False) as baked,
    ):
        z = {name: baked[name] for name in baked.files}
    step = np.float32(z["step"])  # metres per integer unit

    def metres(name: str) -> Floats:
        flat: Floats = z[name].astype(np.float32) * step
        return flat

    sliders = np.concatenate([z["shape_up"], z["shape_down"]])
    shape = sparse.csr_matrix(sliders.reshape(len(sliders), -1).T.astype(np.float32) * step)
    side = z["fields"].shape[0]
    columns = np.zeros((side * side, 8), np.float32)
    columns[:, :7] = z["fields"].reshape(side * side, 7)
    return Head(
        mean=z["mean"],
        states=metres("states").reshape(3, 2, 3, -1),
        weight=metres("weight").reshape(2, 2, -1),
        shape=shape,
        shape_names=tuple(z["shape_names"].tolist()),
        expression=metres("expression").reshape(52, -1),
        expression_names=tuple(z["expression_names"].tolist()),
        faces=z["faces"].astype(np.int64),
        parts=z["parts"],
        texel=z["texel"].astype(np.float32) / 64,
        fields=columns,
        side=side,
        occlusion=z["occlusion"].astype(np.float32) / 255,
        garment=metres("garment"),
        hair_anchor=z["hair_anchor"].astype(np.int64),
        hair_resting=metres("hair_resting"),
        hair_outward=z["hair_outward"].astype(np.float32),
        hair_place=z["hair_place"],
        hair_faces=z["hair_faces"].astype(np.int64),
    )
