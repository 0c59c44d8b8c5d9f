"""A self-contained page that collects preferences between two images into the file that `read_ratings` reads."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup
from PIL import Image as Pillow

from facebench.core.errors import InputError
from facebench.core.html import environment, translated_page
from facebench.core.progress import Progress, no_progress
from facebench.images.decoding import decode
from facebench.images.errors import ImageError
from facebench.images.image_set import ImageSet, Item, read


@dataclass(frozen=True)
class RatingStudy:
    """What people are asked.

    Attributes:
        question: the question about two images.
        pairs: pairs that each person judges.
        side: longest side of an image on the page in pixels; larger images are reduced.
        seed: seed of the pairs. Their order and sides are drawn anew for every person.
    """

    question: str
    pairs: int = 100
    side: int = 256
    seed: int = 0


def ratings_page(
    images: ImageSet, study: RatingStudy, progress: Progress = no_progress
) -> tuple[str, list[str]]:
    """Write the page of a study.

    Args:
        images: the images to compare, with the names that a run over them has.
        study: question and pairs.
        progress: receives the number of encoded images.

    Returns:
        The page, and the images that cannot be decoded with the reason.

    Raises:
        InputError: the question is empty, fewer than two images can be decoded, or there are fewer pairs than asked
            for.
    """
    if not study.question.strip():
        raise InputError(
            "The question is empty. Give one with --question, such as 'Which face looks more real?'"
        )
    wanted = choose_pairs(len(images), study.pairs, study.seed)
    used = sorted({index for pair in wanted for index in pair})
    uris: dict[int, str] = {}
    skipped = []
    for count, index in enumerate(used, start=1):
        item = images.items[index]
        try:
            uris[index] = _data_uri(item, study.side)
        except ImageError as error:
            skipped.append(f"{item.name}: {error}")
        progress("encoding images", count, len(used))
    pairs = [pair for pair in wanted if pair[0] in uris and pair[1] in uris]
    if not pairs:
        raise InputError(f"{images.root}: no pair has two images that can be decoded. {skipped[0]}")
    return _render(images, study, pairs, uris), skipped


def choose_pairs(images: int, pairs: int, seed: int) -> list[tuple[int, int]]:
    """Choose different pairs so that all images appear equally often, give or take one.

    The rounds of a round-robin tournament in random order: every round holds each image at most once.

    Args:
        images: number of images, at least 2.
        pairs: number of pairs.
        seed: seed of the order.

    Returns:
        Pairs of different indices; no pair twice.

    Raises:
        InputError: the images have fewer pairs.

    Example:
        >>> len(choose_pairs(4, 6, seed=0))
        6
    """
    possible = images * (images - 1) // 2
    if pairs > possible:
        raise InputError(f"{images} images have {possible} pairs, and {pairs} are asked for. Lower --pairs.")
    order: list[int | None] = [int(index) for index in np.random.default_rng(seed).permutation(images)]
    if images % 2:
        order.append(None)
    chosen: list[tuple[int, int]] = []
    while len(chosen) < pairs:
        half = len(order) // 2
        for first, second in zip(order[:half], reversed(order[half:]), strict=True):
            if first is not None and second is not None:
                chosen.append((first, second))
        order = [order[0], order[-1], *order[1:-1]]
    return chosen[:pairs]


def _data_uri(item: Item, side: int) -> str:
    """Return the pixels of an image as a PNG, without loss beside the reduction."""
    picture = Pillow.fromarray(decode(read(item), item.name))
    picture.thumbnail((side, side), Pillow.Resampling.LANCZOS)
    out = io.BytesIO()
    picture.save(out, "PNG")
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode("ascii")


def _render(images: ImageSet, study: RatingStudy, pairs: list[tuple[int, int]], uris: dict[int, str]) -> str:
    used = sorted({index for pair in pairs for index in pair})
    position = {index: place for place, index in enumerate(used)}
    content: dict[str, Any] = {
        "pairs": [[position[first], position[second]] for first, second in pairs],
        "names": [_cell(images.items[index].name) for index in used],
        "images": [uris[index] for index in used],
    }
    digest = hashlib.sha256(json.dumps([study.question, content], sort_keys=True).encode()).hexdigest()
    content["key"] = f"facebench-ratings-{digest[:16]}"
    page = environment("facebench.studies").get_template("ratings.html")
    rendered = page.render(question=study.question, side=study.side, content=_script_json(content))
    return translated_page(rendered)


def _cell(name: str) -> str:
    """Return the name of an image for a CSV cell; `./` keeps a spreadsheet from running it as a formula.

    Example:
        >>> _cell("a.png"), _cell("=1+1.png")
        ('a.png', './=1+1.png')
    """
    return f"./{name}" if name[:1] in "=+-@＝＋－＠\t\r '" else name


def _script_json(content: dict[str, Any]) -> Markup:
    """Return JSON that cannot end the script element."""
    return Markup(json.dumps(content).replace("<", "\\u003c"))
