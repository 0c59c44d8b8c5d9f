"""Galleries of related images: source, target and generated, or generated and closest training image."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from facebench.compare.metric_names import metric_name
from facebench.evaluation.leakage import closest_pairs
from facebench.evaluation.per_image import linked_name
from facebench.evaluation.record import Run
from facebench.report.galleries.images import SIDE, Thumbnail, roots_of, thumbnail

LINKED_ROLES = ("source", "target")
ROLES = ("source", "reconstruction", "generated", "target")
"""Order of related images."""
MAX_CLOSEST = 12


@dataclass(frozen=True)
class ImageGroup:
    """Related images and their measured values.

    Attributes:
        thumbnails: thumbnails with their roles.
        values: metrics with their values.
        is_copy: whether the generated face matches a person of the training set.
    """

    thumbnails: list[tuple[str, Thumbnail]]
    values: list[tuple[str, str]]
    is_copy: bool = False


@dataclass(frozen=True)
class ClosestImages:
    """Generated images with the highest similarity to a training image."""

    backbone: str
    role: str
    threshold: float | None
    groups: list[ImageGroup]


def closest_images(run: Run) -> list[ClosestImages]:
    """Return the generated images with their closest training images, highest similarity first."""
    table = run.per_image
    if table is None or "sha256" not in table:
        return []
    images = RunImages(run, table)
    result = []
    for closest in closest_pairs(run, MAX_CLOSEST):
        groups = [
            ImageGroup(
                [
                    ("generated", images.thumbnail("generated", image)),
                    (closest.role, images.thumbnail(closest.role, training_image)),
                ],
                [("", f"{cosine:.3f}")],
                is_copy=closest.threshold is not None and cosine >= closest.threshold,
            )
            for image, training_image, cosine in closest.pairs
        ]
        result.append(ClosestImages(closest.backbone, closest.role, closest.threshold, groups))
    return result


class RunImages:
    """Thumbnails of the images of a run; each is created once.

    Args:
        run: the run.
        table: its per-image table.
        side: longest side of a thumbnail in pixels.
    """

    def __init__(self, run: Run, table: pd.DataFrame, side: int = SIDE) -> None:
        self.run, self.side = run, side
        self.generated = table[table["role"] == "generated"].drop_duplicates("image").set_index("image")
        self.sha256 = {
            (str(role), str(image)): str(sha256)
            for role, image, sha256 in zip(table["role"], table["image"], table["sha256"], strict=True)
        }
        self.cache: dict[tuple[str, str], Thumbnail] = {}

    def thumbnail(self, role: str, image: str) -> Thumbnail:
        """Return the thumbnail of an image of a role."""
        key = (role, image)
        if key not in self.cache:
            images, sha256 = self.run.inputs.get(role), self.sha256.get(key)
            self.cache[key] = (
                Thumbnail(image, unavailable="not_at_hand")
                if images is None or sha256 is None
                else thumbnail(images, image, sha256, roots_of(self.run), self.side)
            )
        return self.cache[key]

    def related(self, image: str) -> list[tuple[str, str]]:
        """Return the roles and names of a generated image and of its linked images, in the order of the edit.

        Roles that the run did not measure are left out: the record does not state where their images are.
        """
        names = []
        measured = self.generated.columns.intersection(list(self.run.inputs))
        for role in (role for role in ROLES if role == "generated" or role in measured):
            name = image if role == "generated" else linked_name(self.generated.at[image, role])
            if name is not None:
                names.append((role, name))
        return names

    def group(self, image: str, metrics: dict[str, pd.Series[float]]) -> ImageGroup:
        """Return an image beside its linked images, with its values."""
        thumbnails = [(role, self.thumbnail(role, name)) for role, name in self.related(image)]
        values = [
            (metric_name(metric), f"{series[image]:.{self.run.metrics[metric].decimals}f}")
            for metric, series in metrics.items()
            if image in series.index and pd.notna(series[image])
        ]
        return ImageGroup(thumbnails, values)
