"""Image folders and manifests as training data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facebench.decoding import decode
from facebench.images import ImageSet, read
from facebench.training.data.faces import Face


class FolderFaces:
    """Images of a folder or manifest, cut to the middle square and resized; identities as numbers.

    Args:
        path: a folder, a folder of identity sub-folders, or a manifest.
        size: pixels per side.

    Example:
        >>> faces = FolderFaces("tests/goldens/images", 64)
        >>> len(faces), faces.read(0).image.shape, int(faces.read(0).fields["identity"])
        (64, (64, 64, 3), 0)
    """

    def __init__(self, path: str | Path, size: int) -> None:
        self.images = ImageSet.open(path)
        self.size = size
        people = self.images.column("identity")
        self.people = sorted({person for person in people if person is not None})
        numbers = {person: number for number, person in enumerate(self.people)}
        self._identity = [None if person is None else numbers[person] for person in people]

    def __len__(self) -> int:
        return len(self.images)

    def read(self, index: int) -> Face:
        """Decode and resize image `index`."""
        item = self.images.items[index]
        image = square(decode(read(item), item.name), self.size)
        person = self._identity[index]
        fields: dict[str, NDArray[np.generic]] = (
            {} if not self.people else {"identity": np.asarray(-1 if person is None else person, np.int64)}
        )
        return Face(item.name, image, fields)


def square(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """The middle square of an image, resized with Lanczos' filter (antialiased)."""
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    cut = image[top : top + side, left : left + side]
    if side == size:
        return np.ascontiguousarray(cut)
    return np.asarray(Image.fromarray(cut).resize((size, size), Image.Resampling.LANCZOS))
