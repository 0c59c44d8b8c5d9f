"""Results of reading one image with an extractor."""

from __future__ import annotations

from dataclasses import dataclass

from facebench.training.rig.buffers.flame_codes import Codes
from facebench.training.rig.buffers.images import ImageArray


@dataclass(frozen=True)
class Found:
    """Codes of one image.

    Attributes:
        codes: arrays with one row.
        photo: (size, size, 3) uint8 image at the size of the buffers.
    """

    codes: Codes
    photo: ImageArray


@dataclass(frozen=True)
class NotFound:
    """Image without codes.

    Attributes:
        reason: a reason of `facebench.images.decoding`, such as "no_face".
        detail: explanation for people.
    """

    reason: str
    detail: str
