"""Null distribution of an edit: images that are only re-encoded as JPEG, not edited."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage

from facebench.images.decoding import ImageError, decode
from facebench.images.image_set import ImageSet, Item, read

ROLE = "reencoded"
JPEG_QUALITY = 95
MAX_IMAGES = 500
"""Number of re-encoded images. The standard error of a mean of 500 is below any relevant difference."""


def reencode(images: ImageSet, folder: Path, seed: int) -> ImageSet:
    """Re-encode a random sample of at most `MAX_IMAGES` images as JPEG, under the same item names.

    Images that cannot be decoded are left out; the extraction of the set itself reports them.

    Args:
        images: original images.
        folder: existing folder for the JPEG files.
        seed: seed of the sample.
    """
    order = np.random.default_rng(seed).permutation(len(images))
    items = []
    for index in sorted(order[:MAX_IMAGES].tolist()):
        item = images.items[index]
        try:
            pixels = decode(read(item), item.name)
        except ImageError:
            continue
        path = folder / f"{index:06d}.jpg"
        path.write_bytes(_encode_jpeg(pixels))
        items.append(Item(path, item.name, {}))
    return ImageSet(folder, "folder", tuple(items))


def match_names(items: tuple[Item, ...], candidates: tuple[Item, ...]) -> npt.NDArray[np.int64]:
    """Return, for each item, the index of the candidate with the same name, or -1."""
    index = {item.name: i for i, item in enumerate(candidates)}
    return np.array([index.get(item.name, -1) for item in items], dtype=np.int64)


def _encode_jpeg(pixels: npt.NDArray[np.uint8]) -> bytes:
    stream = io.BytesIO()
    PillowImage.fromarray(pixels).save(stream, "JPEG", quality=JPEG_QUALITY)
    return stream.getvalue()
