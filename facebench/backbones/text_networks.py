"""Comparisons of images with texts of the manifest, as metric cards name them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

IMAGES = "clip-vitl14-336"
"""Backbone whose image embeddings the texts compare with; both encoders are in one file."""


@dataclass(frozen=True)
class TextColumn:
    """Column of the manifest with the text of each image.

    Attributes:
        name: name of the column.
        smallest: fewest different texts that a comparison needs.
    """

    name: str
    smallest: int

    @property
    def missing(self) -> str:
        """Reason of a metric without a value."""
        texts = "texts" if self.smallest == 1 else f"at least {self.smallest} different texts"
        return f"needs a manifest with {texts} in the column '{self.name}'"


TEXT_NETWORKS: Mapping[str, TextColumn] = {
    "clip-prompt": TextColumn("prompt", 1),
    "clip-surroundings": TextColumn("surroundings", 2),
}
"""Columns by the name of the comparison."""
