"""Sampling units of the generated images: the people, sources or targets that vary independently.

Images of one person vary together, and so do all edits of one source. The unit is the column in which labels repeat:
`identity`, else `source` and `target`. Sources that differ from target to target are crossed with the targets.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

COLUMNS = ("identity", "source", "target")
FEWEST = 2
"""Number of labels below which a column is not a sampling unit: one person is a fixed subject."""


@dataclass(frozen=True)
class Units:
    """Labels of the generated images.

    Attributes:
        labels: by name of the unit, the label of each image; one unit, or two that are crossed.
    """

    labels: dict[str, pd.Series[str]]

    @property
    def name(self) -> str:
        """The unit in words: "images", "identities", "sources × targets"."""
        plurals = {"identity": "identities", "source": "sources", "target": "targets", "image": "images"}
        return " × ".join(plurals[unit] for unit in self.labels)

    @property
    def coarsest(self) -> pd.Series[str]:
        """The labels of the unit with the fewest labels."""
        return min(self.labels.values(), key=lambda labels: labels.nunique())

    def of(self, images: pd.Index) -> Units:
        """Return the units of some images."""
        return Units({unit: labels.reindex(images) for unit, labels in self.labels.items()})

    def components(self) -> Iterator[tuple[str, pd.Series[str], int]]:
        """Yield each unit with the sign of its variance; crossed units count their cells twice."""
        for unit, labels in self.labels.items():
            yield unit, labels, 1
        if len(self.labels) == 2:
            first, second = self.labels.values()
            yield " × ".join(self.labels), first + "\0" + second, -1


def sampling_units(table: pd.DataFrame, recorded: str = "") -> Units:
    """Return the sampling units of the generated images of a per-image table.

    Units that the record names, such as "identity" or "source × target", are used if the table has their columns.

    A column is a unit when labels repeat in it. A unit whose labels each lie within one label of another unit is
    left out: several sources of one person are one unit, the person. Images without a label are units of their own.
    """
    generated = table[table["role"] == "generated"].drop_duplicates("image").set_index("image")
    images = pd.Series(generated.index.astype(str), index=generated.index)
    if recorded == "image":
        return Units({"image": images})
    present = [column for column in COLUMNS if column in generated]
    labels = {column: _labels(generated[column], images) for column in present}
    named = [column for column in recorded.split(" × ") if column in labels]
    if named and " × ".join(named) == recorded:
        return Units({column: labels[column] for column in named[:2]})
    repeated = {
        column: labels[column]
        for column in present
        if FEWEST <= generated[column].nunique() < generated[column].count()
    }
    order = list(repeated)
    kept = {
        column: labels
        for column, labels in repeated.items()
        if not any(
            _within(labels, repeated[other], precedes=order.index(other) < order.index(column))
            for other in order
            if other != column
        )
    }
    return Units(dict(list(kept.items())[:2]) or {"image": images})


def _labels(column: pd.Series[str], images: pd.Series[str]) -> pd.Series[str]:
    """Labels of a column; an image without a label is a unit of its own."""
    return column.astype(str).where(column.notna(), "\0" + images)


def _within(labels: pd.Series[str], other: pd.Series[str], precedes: bool) -> bool:
    """Whether every label lies within one label of another column; of equal columns the first is kept."""
    count, fewer = labels.nunique(), other.nunique()
    nested = count == (labels + "\0" + other).nunique()
    return nested and (fewer < count or (fewer == count and precedes))
