"""Prompts for personal models.

The base set is one prompt. The complex set adds surroundings and asks for side portraits in half of the prompts, as
the released ID-Booth script does; guidance, steps, number of images and negative prompt are also from that script.

Source: Tomašević et al. 2025 (ID-Booth) and the script released with it.
"""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np

from facebench.core.errors import InputError

PERSON = "sks person"
CLASS = "photo of a person"
"""Prompt of prior images."""
BASE = f"face portrait photo of {PERSON}"
SURROUNDINGS = (
    "forest", "city street", "beach", "office", "bus", "laboratory", "factory", "construction site", "hospital",
    "night club",
)  # fmt: skip
NEGATIVE = (
    "cartoon, cgi, render, illustration, painting, drawing, black and white, bad body proportions, landscape"
)
GUIDANCE, STEPS, IMAGES = 5.0, 30, 21


def prompts(which: str, count: int, seed: int = 0, gender: str | None = None) -> list[str]:
    """Return `count` prompts.

    Args:
        which: "base", "complex", or a text file with one prompt per line.
        count: number of prompts; the lines of a file are repeated.
        seed: seed of the surroundings and side portraits.
        gender: word that is inserted before "sks person", as in the released script.

    Raises:
        InputError: the file is missing or empty.

    Example:
        >>> prompts("base", 1, gender="female")
        ['face portrait photo of female sks person']
    """
    if which == "base":
        texts = [BASE] * count
    elif which == "complex":
        texts = _complex(count, np.random.default_rng(seed))
    else:
        texts = _lines(Path(which))
        texts = [texts[number % len(texts)] for number in range(count)]
    return [with_gender(text, gender) for text in texts]


def released_prompts(
    people: int,
    models: int,
    count: int = IMAGES,
    *,
    trailing_comma: bool = True,
    per_model: bool = True,
) -> list[list[list[str]]]:
    """Return the complex prompts of all people as the script of ID-Booth draws them from one random stream.

    Args:
        people: number of people, in natural order of their names.
        models: number of models that the script runs one after the other.
        count: images per person: the script has 21, or 100 without the prompt that has no surroundings.
        trailing_comma: keep the comma after a prompt without surroundings.
        per_model: draw the side portraits again for every model, so that models differ in them.

    Returns:
        Texts by person, model and image.

    Example:
        >>> released_prompts(1, 2, 3)[0][0][0].startswith("face ")
        True
    """
    rng = random.Random(0)
    places = [*SURROUNDINGS] * 10 if count == 100 else ["", *SURROUNDINGS, *SURROUNDINGS]
    texts = []
    for _ in range(people):
        order = rng.sample(places, len(places))
        drawn = [order[number % len(order)] for number in range(count)]
        sides = [[rng.choice([True, False]) for _ in range(count)] for _ in range(models if per_model else 1)]
        texts.append(
            [
                [_released(place, side, trailing_comma) for place, side in zip(drawn, row, strict=True)]
                for row in (sides if per_model else sides * models)
            ]
        )
    return texts


def _released(place: str, side: bool, trailing_comma: bool) -> str:
    text = BASE.replace("portrait", "side-portrait") if side else BASE
    if place:
        return f"{text}, {place} background"
    return f"{text}, " if trailing_comma else text


def with_gender(text: str, gender: str | None) -> str:
    """Insert a word before "sks person"; None inserts nothing."""
    return text if gender is None else text.replace(PERSON, f"{gender} {PERSON}")


def surroundings_of(prompt: str) -> str:
    """Return the surroundings that a prompt of the complex set asks for; empty for other prompts.

    Example:
        >>> surroundings_of("face portrait photo of sks person, night club background")
        'night club'
    """
    return next((place for place in SURROUNDINGS if prompt.endswith(f", {place} background")), "")


def _complex(count: int, rng: np.random.Generator) -> list[str]:
    # No surroundings once and each of the ten twice: 21 prompts, as in the released set.
    surroundings = ["", *SURROUNDINGS, *SURROUNDINGS]
    texts = []
    for number in range(count):
        if number % len(surroundings) == 0:
            order = rng.permutation(len(surroundings))
        place = surroundings[order[number % len(surroundings)]]
        text = BASE.replace("portrait", "side-portrait") if rng.random() < 0.5 else BASE
        texts.append(f"{text}, {place} background" if place else text)
    return texts


def _lines(path: Path) -> list[str]:
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path}: is neither 'base' nor 'complex' nor a readable text file ({error})."
        ) from None
    if not lines:
        raise InputError(f"{path}: holds no prompt. Write one per line.")
    return lines
