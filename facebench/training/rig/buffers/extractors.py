"""Extractors of face codes: one per module, selected by name."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Protocol, cast

from facebench.core.errors import InputError
from facebench.core.suggest import suggest
from facebench.images.image_set import ImageSet, Item
from facebench.training.rig.buffers.flame_codes import Space
from facebench.training.rig.buffers.results import Found, NotFound

# name -> module with a function `build(name, device) -> Extractor`; imported on first use.
_MODULES = {
    "synthface": "synthetic",
    "compact": "compact",
    "deca": "flame_reading",
    "emoca": "flame_reading",
}

EXTRACTORS = {
    "synthface": "synthface",
    "compact": "synthface",
    "deca": "flame",
    "emoca": "flame",
}
"""Extractor name → name of the space of its codes."""


class Extractor(Protocol):
    """Interface of an extractor, which reads codes from images."""

    name: str
    weights: dict[str, str]
    """sha256 of the files that the codes and their rendering depend on, by name."""

    @property
    def space(self) -> Space:
        """Space of the codes."""

    def read(self, images: ImageSet, items: Sequence[Item], size: int) -> list[Found | NotFound]:
        """Read some images of a set; photos are returned at `size` pixels per side."""


def open_extractor(name: str, device: str = "cpu") -> Extractor:
    """Build an extractor by name.

    Raises:
        InputError: the extractor is unknown.
        WeightsError: a file that it needs is missing or wrong.

    Example:
        >>> open_extractor("synthface").space.name
        'synthface'
    """
    module = importlib.import_module(f"{__package__}.{_MODULES[check_extractor(name)]}")
    return cast(Extractor, module.build(name, device))


def check_extractor(name: str) -> str:
    """Return the name of an extractor.

    Raises:
        InputError: the extractor is unknown.
    """
    if name not in EXTRACTORS:
        raise InputError(f"'{name}' is not an extractor. {suggest(name, EXTRACTORS)}")
    return name
