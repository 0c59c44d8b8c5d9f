"""Image folders and manifests as training data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facebench.core.errors import InputError
from facebench.images.decoding import decode
from facebench.images.image_set import ImageSet, read
from facebench.training.data.faces import Face


class FolderFaces:
    """Images of a folder or manifest, cropped to the central square and resized, with the labels of the manifest.

    Fields, each present when the manifest has the column: `identity` and `expression`, as indices into `people` and
    `expressions` (-1 where unknown); `valence` and `arousal`; `attributes`, all columns that hold only 1 and -1.

    Args:
        images: folder, folder of identity sub-folders, manifest, or an opened image set.
        size: pixels per side.

    Raises:
        InputError: no images, or a valence or arousal that is not a number.

    Example:
        >>> faces = FolderFaces("tests/goldens/images", 64)
        >>> len(faces), faces.read(0).image.shape, int(faces.read(0).fields["identity"])
        (64, (64, 64, 3), 0)
    """

    def __init__(self, images: str | Path | ImageSet, size: int) -> None:
        self.images = images if isinstance(images, ImageSet) else ImageSet.open(images)
        self.size = size
        self.people, identity = _numbered(self.images.column("identity"))
        self.expressions, expression = _numbered(self.images.column("expression"))
        self._fields: dict[str, NDArray[np.generic]] = {}
        if self.people:
            self._fields["identity"] = identity
        if self.expressions:
            self._fields["expression"] = expression
        self.attributes = tuple(
            name for name in self.images.columns if set(self.images.column(name)) <= {"1", "-1"}
        )
        if self.attributes:
            columns = [self.images.column(name) for name in self.attributes]
            self._fields["attributes"] = np.array(columns).T == "1"
        for name in ("valence", "arousal"):
            if any(self.images.column(name)):
                texts = zip(self.images.column(name), self.images.items, strict=True)
                numbers = [_number(text, name, item.name) for text, item in texts]
                self._fields[name] = np.array(numbers, np.float32)

    def __len__(self) -> int:
        return len(self.images)

    @property
    def identities(self) -> NDArray[np.int64]:
        """Indices (n,) into `people`, -1 where unknown."""
        return _numbered(self.images.column("identity"))[1]

    def read(self, index: int) -> Face:
        """Decode and resize image `index`.

        Raises:
            ImageError: the file cannot be decoded.
        """
        item = self.images.items[index]
        image = square(decode(read(item), item.name), self.size)
        return Face(item.name, image, {name: values[index] for name, values in self._fields.items()})


def _numbered(words: list[str | None]) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Return the distinct words, and for each entry its index among them (-1 where empty)."""
    known = tuple(sorted({word for word in words if word}))
    numbers = {word: number for number, word in enumerate(known)}
    return known, np.array([numbers[word] if word else -1 for word in words], np.int64)


def _number(text: str | None, column: str, name: str) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        raise InputError(f"{name}: the column '{column}' holds '{text}', which is not a number.") from None


def square(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Crop the central square and resize it with an antialiased Lanczos filter."""
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    crop = image[top : top + side, left : left + side]
    if side == size:
        return np.ascontiguousarray(crop)
    return np.asarray(Image.fromarray(crop).resize((size, size), Image.Resampling.LANCZOS))
