"""Named facial expressions: activations of the 52 ARKit units, with nominal valence and arousal.

The units follow the action units of the basic emotions (Ekman and Friesen, EMFACS) under the names of ARKit.
Valence and arousal are constructed, not measured. Their directions follow the circumplex of Russell (1980). Their
distances from neutral resemble the class means of in-the-wild datasets such as AffectNet (Mollahosseini et al.
2017). Both scale linearly with intensity.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facebench.core.errors import InputError
from facebench.core.suggest import suggest
from facebench.synthface import head

INTENSITIES = (0.4, 0.7, 1.0)


@dataclass(frozen=True)
class Expression:
    """A named expression at full intensity.

    Attributes:
        units: activation in [0, 1] by ARKit unit; a name without the suffix Left or Right refers to both sides.
        valence: from -1 (unpleasant) to 1 (pleasant).
        arousal: from -1 (calm) to 1 (excited).
    """

    units: Mapping[str, float]
    valence: float
    arousal: float


EXPRESSIONS: dict[str, Expression] = {
    "neutral": Expression({}, 0.0, 0.0),
    "happy": Expression(
        {"mouthSmile": 1.0, "cheekSquint": 0.7, "mouthUpperUp": 0.45, "eyeSquint": 0.3, "mouthLowerDown": 0.25,
         "mouthDimple": 0.2, "jawOpen": 0.16},
        0.8, 0.4,
    ),
    "sad": Expression(
        {"browInnerUp": 0.95, "mouthFrown": 0.9, "mouthShrugLower": 0.45, "eyeLookDown": 0.3, "eyeBlink": 0.22,
         "browDown": 0.1},
        -0.7, -0.4,
    ),
    "angry": Expression(
        {"browDown": 1.0, "mouthPress": 0.6, "eyeSquint": 0.45, "noseSneer": 0.35, "mouthFrown": 0.35,
         "jawForward": 0.3, "eyeWide": 0.25},
        -0.6, 0.65,
    ),
    "surprised": Expression(
        {"browInnerUp": 0.9, "browOuterUp": 0.9, "eyeWide": 0.85, "jawOpen": 0.55, "mouthFunnel": 0.15},
        0.2, 0.8,
    ),
    "afraid": Expression(
        {"browInnerUp": 0.95, "eyeWide": 0.9, "mouthStretch": 0.8, "browDown": 0.35, "mouthLowerDown": 0.35,
         "jawOpen": 0.25},
        -0.6, 0.8,
    ),
    "disgusted": Expression(
        {"noseSneer": 0.95, "mouthUpperUp": 0.65, "browDown": 0.5, "eyeSquint": 0.45, "cheekSquint": 0.4,
         "mouthShrugLower": 0.35},
        -0.7, 0.35,
    ),
    "contempt": Expression(
        {"mouthDimpleLeft": 0.8, "mouthSmileLeft": 0.6, "mouthPressLeft": 0.4, "browOuterUpRight": 0.35,
         "eyeSquint": 0.25, "mouthLeft": 0.15},
        -0.5, 0.15,
    ),
}  # fmt: skip


def names() -> tuple[str, ...]:
    """Return the names of all expressions, neutral first."""
    return tuple(EXPRESSIONS)


def get(name: str) -> Expression:
    """Return an expression by name.

    Raises:
        InputError: unknown name.
    """
    if name not in EXPRESSIONS:
        raise InputError(f"Unknown expression {name!r}. {suggest(name, EXPRESSIONS)}")
    return EXPRESSIONS[name]


def psi(name: str, intensity: float = 1.0) -> NDArray[np.float32]:
    """Return ψ of a named expression: (52,) float32 activations in [0, 1], linear in intensity.

    Args:
        name: one of `names()`.
        intensity: 0 (neutral) to 1 (full).

    Raises:
        InputError: unknown name, or an intensity outside [0, 1].

    Example:
        >>> round(float(psi("surprised", 0.5).max()), 3)
        0.45
    """
    if not 0.0 <= intensity <= 1.0:
        raise InputError(f"The intensity of an expression must be between 0 and 1, not {intensity}.")
    units = head.load().expression_names
    values = np.zeros(len(units), np.float32)
    for stem, value in get(name).units.items():
        matching = [i for i, unit in enumerate(units) if unit in (stem, stem + "Left", stem + "Right")]
        if not matching:
            raise InputError(f"Expression {name!r} has the unknown unit {stem!r}.")
        values[matching] = value
    return values * np.float32(intensity)


def affect(name: str, intensity: float = 1.0) -> tuple[float, float]:
    """Return the nominal valence and arousal of a named expression, each in [-1, 1], linear in intensity.

    Raises:
        InputError: unknown name.

    Example:
        >>> affect("happy", 0.5)
        (0.4, 0.2)
    """
    expression = get(name)
    return expression.valence * intensity, expression.arousal * intensity
