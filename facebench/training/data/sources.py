"""The `data` section of the settings: source of the training images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AliasChoices, Field

from facebench.training.data.datasets import DATASETS
from facebench.training.data.faces import Faces
from facebench.training.data.folders import FolderFaces
from facebench.training.data.lmdb import LmdbFaces
from facebench.training.data.mapped_files import cache_folder
from facebench.training.data.synthetic import Population, SynthfaceFaces
from facebench.training.engine.settings import Settings


class SynthfaceData(Settings):
    """Synthetic people, rendered on first use."""

    kind: Literal["synthface"]
    identities: int = Field(2000, gt=0)
    images: int = Field(12, gt=0)
    """Images per person."""
    seed: int = Field(1, ge=0)
    start: int = Field(0, ge=0)
    """Number of the first person."""
    expressions: tuple[str, ...] | None = None
    render: int | None = Field(None, gt=0)
    cache_renders: bool = Field(True, validation_alias=AliasChoices("cache_renders", "remember"))
    """Store renderings in the cache folder of facebench."""
    align: bool = False
    """Align faces as `facebench align` does."""
    pairs: bool = False
    """Image 2k + 1 of a person is image 2k with another expression, to learn changes of expression from."""

    @property
    def population(self) -> Population:
        """The people and their images."""
        return Population(self.identities, self.images, self.seed, self.start, self.expressions)


class FolderData(Settings):
    """An image folder, a folder of identities, or a manifest."""

    kind: Literal["folder"]
    path: Path


class LmdbData(Settings):
    """A database in the layout of DiffAE."""

    kind: Literal["lmdb"]
    path: Path


class DatasetData(Settings):
    """A public data set in its published layout."""

    kind: Literal["ffhq", "celebahq", "affectnet", "tufts", "tufts-id-booth"]
    path: Path


AnyData = SynthfaceData | FolderData | LmdbData | DatasetData
DataSettings = Annotated[AnyData, Field(discriminator="kind")]


def open_faces(data: AnyData, size: int) -> Faces:
    """Open the training images that settings describe.

    Args:
        data: settings of the data.
        size: pixels per side that the network reads.

    Raises:
        InputError: the data is missing or has another layout.
    """
    if isinstance(data, FolderData):
        return FolderFaces(data.path, size)
    if isinstance(data, LmdbData):
        return LmdbFaces(data.path, size)
    if isinstance(data, DatasetData):
        return FolderFaces(DATASETS[data.kind](data.path), size)
    return SynthfaceFaces(
        size,
        data.population,
        render=data.render,
        cache=cache_folder("synthface") if data.cache_renders else None,
        align=data.align,
        pairs=data.pairs,
    )
