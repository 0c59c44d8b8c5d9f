"""Training images for recognition: aligned 112 x 112 crops with identity labels, cached on disk."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from facebench.backbones.face_detection import FaceFinder, align
from facebench.core.errors import InputError
from facebench.images.decoding import ImageError, decode
from facebench.images.image_set import ImageSet, read
from facebench.training.data.faces import Face
from facebench.training.data.mapped_files import cache_folder, mapped_array
from facebench.training.data.sources import FolderData, SynthfaceData
from facebench.training.data.synthetic import RENDERING, SynthfaceFaces

CROP = 112
_CACHED, _NO_FACE = 1, 2
"""State of a crop in the cache; 0 is not cached."""
_LISTED = 5
"""Identities that a warning names."""


class People(Protocol):
    """Photographs of people, of any size."""

    identities: int
    """Number of people."""
    warnings: tuple[str, ...]

    def __len__(self) -> int: ...

    def label(self, index: int) -> int:
        """Return the number of the person, from 0."""

    def name(self, index: int) -> str:
        """Return the name of the photograph for messages."""

    def photograph(self, index: int) -> NDArray[np.uint8]:
        """Read a photograph as (height, width, 3) RGB."""

    def key(self) -> object:
        """Return plain values that change when the photographs change."""


class FolderPeople:
    """Identity sub-folders, or a manifest with the column `identity`.

    Raises:
        InputError: an image has no identity, fewer than two identities, identities that differ only in letter
            case, or no identity with two images.
    """

    def __init__(self, path: Path) -> None:
        self.images = ImageSet.open(path)
        names = self.images.column("identity")
        without = [item.name for item, name in zip(self.images.items, names, strict=True) if not name]
        if without:
            raise InputError(
                f"{path}: {len(without)} of {len(names)} images have no identity (the first: {without[0]}). Give one "
                "sub-folder for each person, or a manifest with the column 'identity'."
            )
        people = [str(name) for name in names]
        _refuse_case_twins(people, path)
        numbers = {person: number for number, person in enumerate(sorted(set(people)))}
        self._labels = [numbers[person] for person in people]
        self.identities = len(numbers)
        self.warnings = _warnings(path, people, self.images)

    def __len__(self) -> int:
        return len(self.images)

    def label(self, index: int) -> int:
        """See `People`."""
        return self._labels[index]

    def name(self, index: int) -> str:
        """See `People`."""
        return self.images.items[index].name

    def photograph(self, index: int) -> NDArray[np.uint8]:
        """See `People`; raises ImageError when the file cannot be decoded."""
        item = self.images.items[index]
        return decode(read(item), item.name)

    def key(self) -> object:
        """See `People`."""
        stats = ((item.path, item.path.stat()) for item in self.images.items)
        return [(str(path), stat.st_size, stat.st_mtime_ns) for path, stat in stats]


class SynthfacePeople:
    """Synthetic people."""

    warnings: tuple[str, ...] = ()

    def __init__(self, data: SynthfaceData) -> None:
        side = data.render or 128
        if side == CROP:
            raise InputError(f"render={CROP}: images of {CROP} pixels count as aligned; render at 128.")
        self.data = data
        self.identities = data.identities
        self.faces = SynthfaceFaces(
            side, data.population, cache=cache_folder("synthface") if data.cache_renders else None
        )

    def __len__(self) -> int:
        return len(self.faces)

    def label(self, index: int) -> int:
        """See `People`."""
        return index // self.data.images

    def name(self, index: int) -> str:
        """See `People`."""
        person, image = divmod(index, self.data.images)
        return f"synthface {self.data.seed} person {self.data.start + person} image {image}"

    def photograph(self, index: int) -> NDArray[np.uint8]:
        """See `People`."""
        return self.faces.read(index).image

    def key(self) -> object:
        """See `People`."""
        return [RENDERING, self.data.model_dump(mode="json", exclude={"cache_renders"})]


class AlignedFaces:
    """Training set for recognition: aligned crops (112, 112, 3) with the field `identity`.

    Images of 112 x 112 pixels are used as they are. In others the face is detected and aligned by five landmarks.
    Crops are cached on disk; deleting the cache does not change results.

    Args:
        people: the photographs.
    """

    def __init__(self, people: People) -> None:
        self.people = people

    def __len__(self) -> int:
        return len(self.people)

    def read(self, index: int) -> Face:
        """Return the crop of photograph `index`.

        Raises:
            ImageError: the file cannot be decoded, or no face is found in it.
        """
        crops, states = self._cache
        name, label = self.people.name(index), np.asarray(self.people.label(index), np.int64)
        if states[index] == _CACHED:
            return Face(name, np.array(crops[index]), {"identity": label})
        has_face = states[index] != _NO_FACE
        crop = aligned(self.people.photograph(index), self._finder) if has_face else None
        if crop is None:
            states[index] = _NO_FACE
            raise ImageError("no_face", "no face was found", name)
        crops[index] = crop
        states[index] = _CACHED  # after the crop: a run killed in between aligns it again
        return Face(name, crop, {"identity": label})

    def has_crop(self) -> list[bool]:
        """Return, for each photograph, whether its crop is in the cache."""
        return [bool(state == _CACHED) for state in self._cache[1]]

    @cached_property
    def _finder(self) -> FaceFinder:
        return FaceFinder()

    @cached_property
    def _cache(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        contents = json.dumps([self.people.key(), FaceFinder.preprocessing, CROP]).encode()
        folder = cache_folder("crops") / hashlib.sha256(contents).hexdigest()[:16]
        folder.mkdir(parents=True, exist_ok=True)
        crops = mapped_array(folder / "crops.u8", (len(self), CROP, CROP, 3))
        return crops, mapped_array(folder / "known.u8", (len(self),))

    def __getstate__(self) -> dict[str, object]:
        not_pickled = ("_cache", "_finder")
        return {name: value for name, value in self.__dict__.items() if name not in not_pickled}


def aligned(image: NDArray[np.uint8], finder: FaceFinder) -> NDArray[np.uint8] | None:
    """Return the aligned crop of an image, or None when no face is found; 112 x 112 images are used as they are."""
    if image.shape[:2] == (CROP, CROP):
        return image
    face = finder.find(image)
    return None if face is None else align(image, face.landmarks)


def open_people(data: SynthfaceData | FolderData) -> AlignedFaces:
    """Open the recognition training set that settings describe."""
    return AlignedFaces(FolderPeople(data.path) if isinstance(data, FolderData) else SynthfacePeople(data))


def _refuse_case_twins(people: list[str], path: Path) -> None:
    """Refuse identities that some file systems do not distinguish, such as Anna and anna."""
    spellings: dict[str, str] = {}
    for person in sorted(set(people)):
        twin = spellings.setdefault(person.casefold(), person)
        if twin != person:
            raise InputError(
                f"{path}: the identities '{twin}' and '{person}' differ only in letter case. Merge them if they "
                "are one person, or rename one."
            )


def _warnings(path: Path, people: list[str], images: ImageSet) -> tuple[str, ...]:
    counts = Counter(people)
    single = sorted(person for person, count in counts.items() if count == 1)
    if len(single) == len(counts):
        raise InputError(
            f"{path}: every identity has a single image. Recognition training needs two or more images of each "
            "person."
        )
    if len(counts) < 2:
        raise InputError(f"{path}: holds one identity. Recognition training needs at least two.")
    warnings = []
    if single:
        listed = ", ".join(single[:_LISTED]) + (" ..." if len(single) > _LISTED else "")
        warnings.append(f"{len(single)} of {len(counts)} identities have a single image: {listed}")
    if images.rejected:
        first = images.rejected[0]
        warnings.append(f"{len(images.rejected)} files are not used; the first: {first.name}: {first.reason}")
    return tuple(warnings)
