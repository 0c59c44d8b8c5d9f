"""Parameters of synthetic faces: identity, expression, pose, camera, light and background."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facebench.core.errors import InputError
from facebench.synthface import expressions

Floats = NDArray[np.float32]

# Fields shared by all images of a person; the others vary between images.
IDENTITY_FIELDS = (
    "identity", "beta", "age", "gender", "ancestry", "weight", "albedo", "brow", "hair", "beard", "blush", "freckles"
)  # fmt: skip


@dataclass(frozen=True)
class Parameters:
    """Parameters of n faces: every array has n rows.

    Angles are in degrees, lengths in metres, colours in linear RGB.

    Attributes:
        identity: (n,) int64, index of the person.
        beta: (n, 129) β, face-shape sliders in [-1, 1], in the order of `Head.shape_names`.
        psi: (n, 52) ψ, ARKit units in [0, 1], in the order of `Head.expression_names`.
        expression: (n,) int64, index of the named expression in `expressions.names()`.
        intensity: (n,) intensity of that expression, 0 to 1.
        pose: (n, 3) yaw (positive: the face turns to the image's right), pitch (positive: up), roll (positive:
            clockwise).
        age: (n,) 0 child, 0.5 young adult, 1 old.
        gender: (n,) 0 female, 1 male.
        ancestry: (n, 3) weights of the three ancestries of the base model; rows sum to 1.
        weight: (n,) body weight: 0 lowest, 0.5 average, 1 highest.
        albedo: (n, 4, 3) diffuse colour of skin, lips, hair, iris.
        brow: (n, 4) half thickness, height above the default position, density in [0, 1], slope.
        hair: (n, 7) kind (0 shaved, 1 cropped, 2 with volume), volume, hairline shift, fringe, length below the
            ears, opening angle of hanging hair, curliness in [0, 1].
        beard: (n,) density in [0, 1].
        blush: (n,) strength in [0, 1].
        freckles: (n,) strength in [0, 1].
        camera: (n, 4) distance, height of the view at the face, shift right and up as a fraction of that height.
        light: (n, 3) unit direction towards the key light.
        lamps: (n, 4, 3) colour of the key light, the fill light, the sky and the ground.
        garment: (n, 3) colour of the shirt.
        background: (n, 3, 3) colours of the background.
        scene: (n,) uint32, seed of the background.
    """

    identity: NDArray[np.int64]
    beta: Floats
    psi: Floats
    expression: NDArray[np.int64]
    intensity: Floats
    pose: Floats
    age: Floats
    gender: Floats
    ancestry: Floats
    weight: Floats
    albedo: Floats
    brow: Floats
    hair: Floats
    beard: Floats
    blush: Floats
    freckles: Floats
    camera: Floats
    light: Floats
    lamps: Floats
    garment: Floats
    background: Floats
    scene: NDArray[np.uint32]

    def __len__(self) -> int:
        return len(self.identity)

    @property
    def affect(self) -> Floats:
        """(n, 2) float32 nominal valence and arousal of the named expressions, each in [-1, 1]."""
        full = np.array([expressions.affect(name) for name in expressions.names()], np.float32)
        scaled: Floats = full[self.expression] * self.intensity[:, None]
        return scaled

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return all arrays by name, as stored in parameters.npz."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def take(self, rows: Sequence[int] | NDArray[np.int64] | slice) -> Parameters:
        """Select faces by row."""
        index = rows if isinstance(rows, slice) else np.asarray(rows, np.int64)
        return Parameters(**{name: array[index] for name, array in self.arrays().items()})

    def replace(self, **arrays: NDArray[Any]) -> Parameters:
        """Return a copy with some arrays replaced.

        Raises:
            InputError: an array differs in shape from the one it replaces.
        """
        for name, array in arrays.items():
            if name not in self.arrays() or array.shape != self.arrays()[name].shape:
                raise InputError(f"Cannot replace {name!r} by an array of shape {array.shape}.")
        return dataclasses.replace(self, **arrays)

    @staticmethod
    def join(parts: Sequence[Parameters]) -> Parameters:
        """Concatenate several sets of faces."""
        return Parameters(
            **{name: np.concatenate([p.arrays()[name] for p in parts]) for name in parts[0].arrays()}
        )
