"""Shape codes: principal components of heads at rest.

Many combinations of the 129 sliders, age, gender, weight and ancestry give nearly the same head. A shape code has
units of standard deviations along principal components and measures the difference between heads, like β of FLAME.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facebench.synthface import geometry
from facebench.synthface.parameters import Parameters
from facebench.synthface.sampling import draw

Floats = NDArray[np.float32]

STRIDE = 16
"""Every sixteenth vertex is sufficient to describe the shape."""


@dataclass(frozen=True, eq=False)
class ShapeBasis:
    """Principal components of heads at rest.

    Attributes:
        mean: (v,) coordinates of the mean head, metres.
        directions: (k, v) unit vectors.
        std: (k,) standard deviation along each, metres.
    """

    mean: Floats
    directions: Floats
    std: Floats

    @classmethod
    def of(cls, people: int, components: int, seed: int = 0) -> ShapeBasis:
        """Compute the basis from `people` random persons.

        Example:
            >>> ShapeBasis.of(people=8, components=3).directions.shape[0]
            3
        """
        heads = _at_rest(draw(people, seed)).astype(np.float64)
        mean = heads.mean(axis=0)
        _, singular, directions = np.linalg.svd(heads - mean, full_matrices=False)
        std = singular[:components] / np.sqrt(people - 1)
        # The sign of a component is arbitrary: make its largest entry positive.
        largest = np.abs(directions[:components]).argmax(axis=1)
        signs = np.sign(directions[np.arange(components), largest])
        oriented = directions[:components] * signs[:, None]
        return cls(mean.astype(np.float32), oriented.astype(np.float32), std.astype(np.float32))

    def code(self, parameters: Parameters) -> Floats:
        """Return the shape codes (n, k) of faces in standard deviations, independent of expression and pose."""
        centred = _at_rest(parameters) - self.mean
        code: Floats = (centred @ self.directions.T / self.std).astype(np.float32)
        return code


def _at_rest(parameters: Parameters) -> Floats:
    rows = [geometry.at_rest(parameters, row)[::STRIDE].ravel() for row in range(len(parameters))]
    return np.stack(rows)
