"""Random sampling of synthetic faces. Each face has its own seed, so that it does not depend on the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from functools import cache
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from facebench.core.errors import InputError
from facebench.synthface import expressions, head
from facebench.synthface.parameters import Parameters

Floats = NDArray[np.float32]
Row = dict[str, Any]


def person(seed: int, identity: int) -> Row:
    """Sample one person: the identity fields of `Parameters`, without the leading axis."""
    rng = np.random.default_rng([seed, 0, identity])
    gender = float(np.clip(rng.beta(0.35, 0.35), 0.02, 0.98))
    age = float(
        np.clip(0.5 + 0.5 * rng.beta(1.0, 1.9) if rng.random() > 0.12 else rng.uniform(0.15, 0.5), 0, 1)
    )
    ancestry = rng.dirichlet([0.45, 0.45, 0.45])
    hair_colour = _hair_colour(rng, age, ancestry)
    skin = _skin(rng, ancestry)
    grown = float(np.clip((age - 0.42) * 8, 0, 1))
    bearded = rng.random() < 0.55
    return {
        "identity": np.int64(identity),
        "beta": _beta(rng),
        "age": np.float32(age),
        "gender": np.float32(gender),
        "ancestry": ancestry.astype(np.float32),
        "weight": np.float32(np.clip(rng.normal(0.5, 0.2), 0, 1)),
        "albedo": np.stack([skin, _lips(rng, skin, gender), hair_colour, _iris(rng, ancestry)]).astype(
            np.float32
        ),
        "brow": _brow(rng, gender),
        "hair": _hair(rng, gender, age),
        "beard": np.float32(grown * max(0.0, (gender - 0.5) * 2) * (rng.beta(1.2, 1.2) if bearded else 0.12)),
        "blush": np.float32(rng.uniform(0.1, 0.8)),
        "freckles": np.float32(rng.beta(0.5, 2.5)),
    }


def appearance(seed: int, identity: int, image: int) -> Row:
    """Sample pose, camera, light, shirt and background of one image of a person."""
    rng = np.random.default_rng([seed, 1, identity, image])
    pose = np.clip(rng.normal(0, [13, 6, 3.5]), [-32, -16, -10], [32, 16, 10])
    azimuth, elevation = np.radians(rng.uniform(-65, 65)), np.radians(rng.uniform(5, 55))
    light = [np.sin(azimuth) * np.cos(elevation), np.sin(elevation), np.cos(azimuth) * np.cos(elevation)]
    warmth = rng.normal(0, 0.05)
    tint = np.array([1 + warmth, 1.0, 1 - warmth])
    key, fill, sky, ground = (
        rng.uniform(0.55, 0.85),
        rng.uniform(0.06, 0.22),
        rng.uniform(0.26, 0.42),
        rng.uniform(0.12, 0.22),
    )
    lamps = [key * tint, fill * tint[::-1], sky * (0.5 + 0.5 * tint[::-1]), ground * tint]
    base = rng.uniform(0.03, 0.6)
    background = np.clip(base * rng.uniform(0.45, 1.6, (3, 1)) * (1 + rng.normal(0, 0.18, (3, 3))), 0.01, 0.9)
    return {
        "pose": pose.astype(np.float32),
        "camera": np.array(
            [rng.uniform(0.75, 1.3), rng.uniform(0.285, 0.335), rng.normal(0, 0.012), rng.normal(0, 0.012)],
            np.float32,
        ),
        "light": np.array(light, np.float32),
        "lamps": np.array(lamps, np.float32),
        "garment": np.clip(rng.uniform(0.02, 0.7) * (1 + rng.normal(0, 0.35, 3)), 0.01, 0.85).astype(
            np.float32
        ),
        "background": background.astype(np.float32),
        "scene": np.uint32(rng.integers(2**32)),
    }


def jitter(seed: int, identity: int, image: int) -> Floats:
    """Sample small movements added to ψ: gaze, lids and slight asymmetry; (52,) float32."""
    rng = np.random.default_rng([seed, 2, identity, image])
    psi = np.zeros(52, np.float32)
    units = {name: i for i, name in enumerate(head.load().expression_names)}
    sideways, upwards = rng.normal(0, 0.16, 2)
    # Both eyes turn together: one looks inwards while the other looks outwards.
    pair = ("eyeLookOutLeft", "eyeLookInRight") if sideways > 0 else ("eyeLookInLeft", "eyeLookOutRight")
    tilt = ("eyeLookUpLeft", "eyeLookUpRight") if upwards > 0 else ("eyeLookDownLeft", "eyeLookDownRight")
    psi[[units[u] for u in pair]] = min(abs(sideways), 0.4)
    psi[[units[u] for u in tilt]] = min(abs(upwards), 0.3)
    psi[[units["eyeBlinkLeft"], units["eyeBlinkRight"]]] = abs(rng.normal(0, 0.05))
    sides = [units[u] for u in ("mouthSmileLeft", "mouthSmileRight", "browOuterUpLeft", "browOuterUpRight")]
    psi[sides] += np.abs(rng.normal(0, 0.03, 4)).astype(np.float32)
    return psi


def draw(
    n: int, seed: int, *, images: int = 1, start: int = 0, names: Sequence[str] | None = None
) -> Parameters:
    """Sample faces start ... start + n - 1 of an infinite set; face i is image i % images of person i // images.

    Args:
        n: number of faces.
        seed: seed of the set.
        images: images per person.
        start: index of the first face.
        names: expressions to sample from. Several images per person cycle through them; single images choose one at
            random.

    Raises:
        InputError: n or images below 1, a negative seed or start, or an unknown expression.
    """
    if n < 1 or images < 1 or start < 0 or seed < 0:
        raise InputError(
            f"Need n >= 1, images >= 1, start >= 0 and seed >= 0, not {n}, {images}, {start} and {seed}."
        )
    choices = tuple(names) if names is not None else expressions.names()
    if not choices:
        raise InputError("Name at least one expression.")
    for name in choices:
        expressions.get(name)
    rows = [_face(seed, *divmod(i, images), images, choices) for i in range(start, start + n)]
    return Parameters(
        **{field.name: np.stack([row[field.name] for row in rows]) for field in fields(Parameters)}
    )


def _face(seed: int, identity: int, image: int, images: int, choices: tuple[str, ...]) -> Row:
    rng = np.random.default_rng([seed, 3, identity, image])
    name = choices[image % len(choices)] if images > 1 else choices[int(rng.integers(len(choices)))]
    intensity = 0.0 if name == "neutral" else float(rng.choice(expressions.INTENSITIES))
    return {
        **person(seed, identity),
        **appearance(seed, identity, image),
        "psi": np.clip(expressions.psi(name, intensity) + jitter(seed, identity, image), 0, 1),
        "expression": np.int64(expressions.names().index(name)),
        "intensity": np.float32(intensity),
    }


# Standard deviation of a slider, by the first of these words in its name. Sliders that shift whole features have small
# values, because a shifted nose or mouth looks deformed.
_SLIDER_STD = (
    ("trans-out", 0.07), ("head-angle", 0.1), ("head-age", 0.2), ("head-trans", 0.07), ("head-", 0.2),
    ("forehead", 0.28), ("eye-trans", 0.16), ("eye-push", 0.15), ("eye-scale", 0.24), ("eye-height", 0.2),
    ("eye-epicanthus", 0.3), ("eyebrows-angle", 0.18), ("eyebrows", 0.35), ("mouth-trans", 0.22),
    ("mouth-angles", 0.12), ("mouth-laugh", 0.4), ("mouth", 0.28), ("ear", 0.34), ("nose", 0.34),
    ("chin-cleft", 0.4), ("chin", 0.34), ("cheek", 0.4), ("", 0.28),
)  # fmt: skip
# The eyes of the base model are smaller than in photographs.
_SLIDER_MEAN = {"eye-scale-incr": 0.22, "eye-height2-incr": 0.15}


def _beta(rng: Generator) -> Floats:
    common: dict[str, float] = {}
    values = []
    for stem, mean, spread, is_sided in _sliders():
        if stem not in common:
            common[stem] = float(rng.normal(mean, spread))
        values.append(common[stem] + (rng.normal(0, 0.1 * spread) if is_sided else 0.0))
    return np.clip(np.array(values, np.float32), -1, 1)


@cache
def _sliders() -> tuple[tuple[str, float, float, bool], ...]:
    """For every slider: its name without the side, its mean, its standard deviation, and whether it has a side."""
    sliders = []
    for name in head.load().shape_names:
        stem = name.removeprefix("l-").removeprefix("r-")
        spread = next(value for word, value in _SLIDER_STD if word in stem)
        sliders.append((stem, _SLIDER_MEAN.get(stem, 0.0), spread, stem != name))
    return tuple(sliders)


def _skin(rng: Generator, ancestry: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sample skin albedo in linear RGB: a tone from light to dark with a small variation of hue."""
    darkness = float(np.clip(ancestry @ [0.78, 0.32, 0.18] + rng.normal(0, 0.12), 0, 1))
    stops = np.array(
        [[0.74, 0.50, 0.40], [0.62, 0.37, 0.26], [0.42, 0.22, 0.13], [0.22, 0.105, 0.06], [0.11, 0.05, 0.03]]
    )
    tone = np.array([np.interp(darkness, [0, 0.3, 0.55, 0.8, 1], stops[:, c]) for c in range(3)])
    return np.asarray(np.clip(tone * (1 + rng.normal(0, 0.05, 3) * [0.5, 1, 1.4]), 0.02, 0.85))


def _lips(rng: Generator, skin: NDArray[np.float64], gender: float) -> NDArray[np.float64]:
    painted = rng.random() < 0.4 * (1 - gender)
    natural = skin * np.array([0.82, 0.50, 0.52])
    stick = np.array([rng.uniform(0.25, 0.5), rng.uniform(0.02, 0.09), rng.uniform(0.03, 0.12)])
    colour = natural * 0.35 + stick * 0.65 if painted else natural * rng.uniform(0.8, 1.1)
    return np.asarray(colour)


def _hair_colour(rng: Generator, age: float, ancestry: NDArray[np.float64]) -> NDArray[np.float64]:
    colours = np.array(
        [
            [0.012, 0.010, 0.009],
            [0.035, 0.020, 0.012],
            [0.10, 0.052, 0.026],
            [0.22, 0.085, 0.03],
            [0.45, 0.29, 0.13],
        ]
    )
    fair = ancestry[2] * np.array([0.0, 0.2, 0.3, 0.15, 0.25]) + (1 - ancestry[2]) * np.array(
        [0.75, 0.2, 0.05, 0, 0]
    )
    colour = colours[rng.choice(5, p=(fair + [0.1, 0, 0, 0, 0]) / (fair.sum() + 0.1))] * rng.uniform(
        0.75, 1.3
    )
    grey = float(np.clip((age - 0.72) * 3.2 + rng.normal(0, 0.2), 0, 1)) if age > 0.66 else 0.0
    return np.asarray(colour * (1 - grey) + np.array([0.42, 0.42, 0.43]) * grey)


def _iris(rng: Generator, ancestry: NDArray[np.float64]) -> NDArray[np.float64]:
    colours = np.array(
        [[0.06, 0.028, 0.012], [0.16, 0.08, 0.03], [0.09, 0.12, 0.05], [0.10, 0.18, 0.30], [0.20, 0.24, 0.27]]
    )
    light = ancestry[2]
    chance = np.array([1.2 - light, 0.4, 0.3 * light, 0.45 * light, 0.25 * light])
    return np.asarray(colours[rng.choice(5, p=chance / chance.sum())] * rng.uniform(0.8, 1.25))


def _brow(rng: Generator, gender: float) -> Floats:
    half = rng.uniform(0.0018, 0.0034) + 0.0012 * gender
    return np.array(
        [half, rng.normal(0.0005, 0.0012), rng.uniform(0.65, 0.97), rng.normal(0, 0.05)], np.float32
    )


def _hair(rng: Generator, gender: float, age: float) -> Floats:
    man = gender > 0.5
    balding = man and age > 0.6
    chance = [0.12 + 0.18 * balding, 0.28, 0.6] if man else [0.01, 0.07, 0.92]
    kind = int(rng.choice(3, p=np.array(chance) / sum(chance)))
    long = kind == 2 and rng.random() < (0.12 if man else 0.72)
    return np.array(
        [
            kind,
            rng.uniform(0.008, 0.026) if kind == 2 else 0.0,
            rng.normal(0.0, 0.005) + (rng.uniform(0, 0.022) if balding else 0.0),
            rng.uniform(0.012, 0.034) if kind == 2 and rng.random() < 0.35 else 0.0,
            rng.uniform(0.05, 0.22) if long else 0.0,
            rng.uniform(68, 96) if long else 400.0,
            rng.beta(0.7, 1.3),
        ],
        np.float32,
    )
