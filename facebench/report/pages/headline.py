"""Which metrics of single images a page shows in heat maps and galleries: one network for each question."""

from __future__ import annotations

import pandas as pd

from facebench.evaluation.cards import load_cards
from facebench.evaluation.per_image import image_terms
from facebench.evaluation.record import Run

MOST = 6
_NULLS = {"reencoded", "reconstruction"}


def headline(run: Run, most: int = MOST) -> dict[str, pd.Series[float]]:
    """By metric, its number of every image: metrics that are means over images, have a better direction and vary.

    Of metrics that differ only in their network the first is taken; noise and nulls belong to no single image.
    """
    found: dict[str, pd.Series[float]] = {}
    asked = set()
    for metric, result in run.metrics.items():
        name, _, reference = metric.partition("@")
        card = load_cards().get(name)
        if card is None or result.better == "neither" or _NULLS & set(card.needs):
            continue
        question = (card.compute, card.field, card.reads.array, card.needs, reference)
        numbers = None if question in asked else image_terms(metric, run)
        if numbers is None or numbers.nunique() < 2:
            continue
        asked.add(question)
        found[metric] = numbers
        if len(found) == most:
            break
    return found
