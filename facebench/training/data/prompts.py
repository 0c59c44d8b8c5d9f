"""Prompts for personal models.

The base set is one prompt. The complex set adds surroundings and asks for side portraits in half of the prompts, as
the released ID-Booth script does; guidance, steps, number of images and negative prompt are also from that script.

Source: Tomašević et al. 2025 (ID-Booth) and the script released with it.
"""

from __future__ import annotations

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
    return texts if gender is None else [text.replace(PERSON, f"{gender} {PERSON}") for text in texts]


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
