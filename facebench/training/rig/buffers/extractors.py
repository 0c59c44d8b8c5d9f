"""Reading the codes of a face: exactly, where the face is synthetic, or by a network from its image."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from facebench.core.errors import InputError
from facebench.images.image_set import ImageSet, Item
from facebench.training.rig.buffers.flame_codes import Codes, Space
from facebench.training.rig.buffers.images import Picture

EXTRACTORS = {
    "synthface": "synthface",
    "compact": "synthface",
    "deca": "flame",
    "emoca": "flame",
}
"""Name of an extractor, and of the space that its codes live in."""


@dataclass(frozen=True)
class Found:
    """What was read from one image.

    Attributes:
        codes: one row.
        photo: (size, size, 3) uint8, the image as a model of this size sees it.
    """

    codes: Codes
    photo: Picture


@dataclass(frozen=True)
class NotFound:
    """An image without codes, and why: a reason of `facebench.images.decoding`, and details."""

    reason: str
    detail: str


class Extractor(Protocol):
    """Reads codes from images."""

    name: str
    weights: dict[str, str]
    """Names and sha256 of the files that the codes and their drawing depend on."""

    @property
    def space(self) -> Space:
        """What the codes mean."""

    def read(self, images: ImageSet, items: Sequence[Item], size: int) -> list[Found | NotFound]:
        """Codes and photos, `size` pixels per side, of some items of a set."""


def open_extractor(name: str, device: str = "cpu") -> Extractor:
    """Build an extractor by name.

    Raises:
        InputError: there is none of this name.
        WeightsError: files that it needs are missing or wrong.

    Example:
        >>> open_extractor("synthface").space.name
        'synthface'
    """
    check_extractor(name)
    if name == "synthface":
        from facebench.training.rig.buffers.synthetic import Exact

        return Exact()
    if name == "compact":
        from facebench.training.rig.buffers.compact import Compact

        return Compact(device)
    from facebench.training.rig.buffers.flame_reading import FlameReader

    return FlameReader(name, device)


def check_extractor(name: str) -> str:
    """The name, if there is such an extractor.

    Raises:
        InputError: there is none.
    """
    if name not in EXTRACTORS:
        close = difflib.get_close_matches(name, EXTRACTORS, n=1)
        hint = f"Did you mean '{close[0]}'?" if close else f"Known: {', '.join(EXTRACTORS)}."
        raise InputError(f"There is no extractor '{name}'. {hint}")
    return name
