"""Where a run is weakest: its worst images, people and expressions, by the first metrics that rank images."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from facebench.compare.metric_names import metric_name
from facebench.evaluation.record import Run
from facebench.report.galleries.images import Thumbnail
from facebench.report.galleries.pairs import ImageGroup, RunImages
from facebench.report.image_metrics import image_metrics

WORST_IMAGES, WORST_EDITS = 8, 3
"""Number of images, and of edits with their sources and targets, for each metric."""
WORST_GROUPS = 3
SMALLEST_GROUP = 2
"""Fewest images of a person or an expression that is listed."""
MAX_RANKINGS = 2
GROUPS = ("identity", "expression")


@dataclass(frozen=True)
class WeakGroup:
    """A person or an expression with a low mean.

    Attributes:
        name: of the person or the expression.
        value: mean over its images, as text.
        count: number of its images.
        image: its worst image.
    """

    name: str
    value: str
    count: int
    image: Thumbnail


@dataclass(frozen=True)
class Weakest:
    """Worst images and groups by one metric.

    Attributes:
        metric: the metric, with its direction.
        title: its title.
        overall: mean over all images, as text.
        images: the worst images with their sources and targets.
        groups: the worst groups by column, `identity` and `expression`; worst first.
    """

    metric: str
    title: str
    overall: str
    images: list[ImageGroup]
    groups: dict[str, list[WeakGroup]]


def weakest(run: Run, images: RunImages | None) -> list[Weakest]:
    """Return the worst images and groups by up to two metrics; empty for a run without per-image numbers."""
    if images is None:
        return []
    metrics = image_metrics(run, MAX_RANKINGS)
    found = []
    for metric, values in metrics.items():
        result = run.metrics[metric]
        ascending = result.better == "higher"
        ordered = values.dropna().sort_values(ascending=ascending, kind="stable")
        first = {metric: values, **metrics}  # the metric of the ranking first
        most = WORST_EDITS if len(images.related(str(ordered.index[0]))) > 1 else WORST_IMAGES
        worst = [str(image) for image in ordered.index[: min(most, (len(ordered) + 1) // 2)]]
        found.append(
            Weakest(
                metric=f"{metric_name(metric)} {result.arrow}".strip(),
                title=result.title,
                overall=f"{ordered.mean():.{result.decimals}f}",
                images=[images.group(image, first) for image in worst],
                groups={
                    column: groups
                    for column in GROUPS
                    if (groups := _groups(images, ordered, column, result.decimals))
                },
            )
        )
    return found


def _groups(images: RunImages, ordered: pd.Series[float], column: str, decimals: int) -> list[WeakGroup]:
    """Return the worst groups of a column; empty unless several groups have two images or more.

    Args:
        images: images of the run.
        ordered: values by image, worst first.
        column: column of the groups.
        decimals: decimals of the values.
    """
    if column not in images.generated:
        return []
    names = images.generated[column].reindex(ordered.index).replace("", pd.NA)
    table = pd.DataFrame({"name": names, "value": ordered}).dropna()
    sizes = table["name"].value_counts()
    table = table[table["name"].isin(sizes.index[sizes >= SMALLEST_GROUP])]
    if table["name"].nunique() < 2 or ordered.empty:
        return []
    ascending = bool(ordered.iloc[0] <= ordered.iloc[-1])
    means = table.groupby("name")["value"].mean().sort_values(ascending=ascending, kind="stable")
    shown = min(WORST_GROUPS, len(means) - 1)
    return [
        WeakGroup(
            str(name),
            f"{mean:.{decimals}f}",
            int(sizes[str(name)]),
            images.thumbnail("generated", str(table.index[table["name"] == name][0])),
        )
        for name, mean in means.iloc[:shown].items()
    ]
