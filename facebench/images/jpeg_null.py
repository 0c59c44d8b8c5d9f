"""Null distribution of an edit: images that are only re-encoded as JPEG, not edited."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage

from facebench.images.decoding import decode
from facebench.images.image_set import ImageSet, Item, read

ROLE = "reencoded"
JPEG_QUALITY = 95
MAX_IMAGES = 500
"""Number of re-encoded images. The standard error of a mean of 500 is below any relevant difference."""


@dataclass(frozen=True)
class Reencoded:
    """Content of an image that is re-encoded as JPEG when it is read."""

    item: Item
    """The original image."""

    def read(self, name: str, max_bytes: int) -> bytes:
        """Return the JPEG file.

        Raises:
            ImageError: the original image cannot be decoded.
        """
        return _encode_jpeg(decode(read(self.item), name))


def reencode(images: ImageSet, seed: int) -> ImageSet:
    """Return a random sample of at most `MAX_IMAGES` images, re-encoded as JPEG, under the same item names.

    An image that cannot be decoded is rejected, as in the extraction of the set itself.

    Args:
        images: original images.
        seed: seed of the sample.
    """
    order = np.random.default_rng(seed).permutation(len(images))
    sample = [images.items[index] for index in sorted(order[:MAX_IMAGES].tolist())]
    items = tuple(Item(item.path, item.name, {}, Reencoded(item)) for item in sample)
    return ImageSet(images.root, "folder", items)


def match_names(items: tuple[Item, ...], candidates: tuple[Item, ...]) -> npt.NDArray[np.int64]:
    """Return, for each item, the index of the candidate with the same name, or -1."""
    index = {item.name: i for i, item in enumerate(candidates)}
    return np.array([index.get(item.name, -1) for item in items], dtype=np.int64)


def _encode_jpeg(pixels: npt.NDArray[np.uint8]) -> bytes:
    stream = io.BytesIO()
    PillowImage.fromarray(pixels).save(stream, "JPEG", quality=JPEG_QUALITY)
    return stream.getvalue()
