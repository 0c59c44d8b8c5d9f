"""The null of an edit: what networks answer when an image is only stored again, and nothing was edited."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage

from facebench.images.decoding import ImageError, decode
from facebench.images.image_set import ImageSet, Item, read

ROLE = "reencoded"
QUALITY = 95
MOST = 500
"""Images that are re-encoded; a mean of so many is steadier than any difference worth reporting."""


def reencode(images: ImageSet, folder: Path, seed: int) -> ImageSet:
    """The images of a set as JPEG of quality 95 in a folder, under the same names; at most 500, drawn at random.

    Images that cannot be decoded are left out: the set itself names them.
    """
    order = np.random.default_rng(seed).permutation(len(images))
    items = []
    for place in sorted(order[:MOST].tolist()):
        item = images.items[place]
        try:
            pixels = decode(read(item), item.name)
        except ImageError:
            continue
        path = folder / f"{place:06d}.jpg"
        path.write_bytes(_jpeg(pixels))
        items.append(Item(path, item.name, {}))
    return ImageSet(folder, "folder", tuple(items))


def same_names(items: tuple[Item, ...], others: tuple[Item, ...]) -> npt.NDArray[np.int64]:
    """For each item the place of the one with its name, or -1."""
    places = {item.name: place for place, item in enumerate(others)}
    return np.array([places.get(item.name, -1) for item in items], dtype=np.int64)


def _jpeg(pixels: npt.NDArray[np.uint8]) -> bytes:
    stream = io.BytesIO()
    PillowImage.fromarray(pixels).save(stream, "JPEG", quality=QUALITY)
    return stream.getvalue()
