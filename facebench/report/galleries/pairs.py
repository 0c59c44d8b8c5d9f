"""Images beside what they belong to: source, target and generated; a generated face and its closest training face."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from facebench.evaluation.leakage import closest_pairs
from facebench.evaluation.per_image import linked_name
from facebench.evaluation.record import Run
from facebench.report.galleries.images import Thumbnail, thumbnail
from facebench.report.pages.headline import headline

LINKED = ("source", "target")
SHOWN_WORST, SHOWN_BEST = 6, 3
"""Pairs or triplets of each metric."""
RANKINGS = 3
SHOWN_CLOSEST = 12


@dataclass(frozen=True)
class Linked:
    """Images that belong together, by role, and what was measured of them."""

    pictures: list[tuple[str, Thumbnail]]
    values: list[tuple[str, str]]
    found: bool = False
    """Whether the generated face counts as somebody from the training set."""


@dataclass(frozen=True)
class Ranking:
    """The two ends of a run's images by one metric of pairs."""

    metric: str
    worst: list[Linked]
    best: list[Linked]


@dataclass(frozen=True)
class Copies:
    """The generated faces that are most alike to a training face."""

    backbone: str
    role: str
    threshold: float | None
    pairs: list[Linked]


def rankings(run: Run) -> list[Ranking]:
    """Worst and best images beside their sources and targets; empty where a manifest names neither."""
    table = run.per_image
    if table is None or "sha256" not in table or not any(role in run.inputs for role in LINKED):
        return []
    numbers = headline(run)
    rows = _Rows(run, table)
    found = []
    for metric in list(numbers)[:RANKINGS]:
        ascending = run.metrics[metric].better == "higher"
        order = numbers[metric].dropna().sort_values(ascending=ascending, kind="stable").index
        shown = min(SHOWN_WORST, (len(order) + 1) // 2)
        worst, best = order[:shown], order[::-1][: min(SHOWN_BEST, len(order) - shown)]
        first = {metric: numbers[metric], **{m: n for m, n in numbers.items() if m != metric}}
        found.append(
            Ranking(
                metric,
                [rows.linked(str(image), first) for image in worst],
                [rows.linked(str(image), first) for image in best],
            )
        )
    return found


def copies(run: Run) -> list[Copies]:
    """Generated faces and their closest training faces, most alike first."""
    table = run.per_image
    if table is None or "sha256" not in table:
        return []
    rows = _Rows(run, table)
    return [
        Copies(
            found.backbone,
            found.role,
            found.threshold,
            [
                Linked(
                    [
                        ("generated", rows.picture("generated", image)),
                        (found.role, rows.picture(found.role, other)),
                    ],
                    [("", f"{cosine:.3f}")],
                    found=found.threshold is not None and cosine >= found.threshold,
                )
                for image, other, cosine in found.pairs
            ],
        )
        for found in closest_pairs(run, SHOWN_CLOSEST)
    ]


class _Rows:
    """Where the images of every role lie, and what they were when they were measured."""

    def __init__(self, run: Run, table: pd.DataFrame) -> None:
        self.run = run
        self.own = table[table["role"] == "generated"].drop_duplicates("image").set_index("image")
        self.sha256 = {
            (str(role), str(image)): str(sha256)
            for role, image, sha256 in zip(table["role"], table["image"], table["sha256"], strict=True)
        }
        self.made: dict[tuple[str, str], Thumbnail] = {}

    def picture(self, role: str, image: str) -> Thumbnail:
        key = (role, image)
        if key not in self.made:
            home = self.run.inputs.get(role)
            known = home is not None and key in self.sha256
            self.made[key] = (
                thumbnail(home, image, self.sha256[key])
                if home is not None and known
                else Thumbnail(image, why="not_at_hand")
            )
        return self.made[key]

    def linked(self, image: str, numbers: dict[str, pd.Series[float]]) -> Linked:
        pictures = []
        for role in (role for role in LINKED if role in self.own):
            name = linked_name(self.own.at[image, role])
            if name is not None:
                pictures.append((role, self.picture(role, name)))
        pictures.append(("generated", self.picture("generated", image)))
        values = [
            (metric, f"{found[image]:.{self.run.metrics[metric].decimals}f}")
            for metric, found in numbers.items()
            if image in found.index and pd.notna(found[image])
        ]
        return Linked(pictures, values)
