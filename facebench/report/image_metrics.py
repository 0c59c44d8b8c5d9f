"""Selection of the per-image metrics that heat maps and galleries show: one network for each kind of metric."""

from __future__ import annotations

import pandas as pd

from facebench.evaluation.cards import load_cards
from facebench.evaluation.per_image import image_terms
from facebench.evaluation.record import Run

MAX_METRICS = 6
_NULL_ROLES = {"reencoded", "reconstruction"}


def image_metrics(run: Run, limit: int = MAX_METRICS) -> dict[str, pd.Series[float]]:
    """Return the values of every image for the metrics of a run that rank images.

    A metric ranks images when it is a mean over images, has a better direction, and varies. Of metrics that differ
    only in the network, only the first is used. Null metrics, such as the effect of re-encoding, are left out.

    Args:
        run: a run with its per-image table.
        limit: largest number of metrics.

    Returns:
        Values by image name, by metric id.
    """
    selected: dict[str, pd.Series[float]] = {}
    kinds = set()
    for metric, result in run.metrics.items():
        name, _, reference = metric.partition("@")
        card = load_cards().get(name)
        if card is None or result.better == "neither" or _NULL_ROLES & set(card.needs):
            continue
        kind = (card.compute, card.field, card.reads.array, card.needs, reference)
        values = None if kind in kinds else image_terms(metric, run)
        if values is None or values.nunique() < 2:
            continue
        kinds.add(kind)
        selected[metric] = values
        if len(selected) == limit:
            break
    return selected
