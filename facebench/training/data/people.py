"""Faces for recognition: aligned crops of 112 x 112 with a number for each identity, made once and remembered."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import platformdirs
from numpy.typing import NDArray

from facebench.backbones.face_detection import FaceFinder, align
from facebench.core.errors import InputError
from facebench.images.decoding import ImageError, decode
from facebench.images.image_set import ImageSet, read
from facebench.training.data.faces import Face
from facebench.training.data.sources import FolderData, SynthfaceData
from facebench.training.data.synthetic import RENDERING, SynthfaceFaces, cache_folder

CROP = 112
_KNOWN, _NO_FACE = 1, 2
_NAMED = 5


class People(Protocol):
    """Photographs of people, whatever their size."""

    identities: int
    notes: tuple[str, ...]

    def __len__(self) -> int: ...

    def label(self, index: int) -> int:
        """Number of the person, from 0."""

    def name(self, index: int) -> str:
        """What to call the photograph in messages."""

    def photograph(self, index: int) -> NDArray[np.uint8]:
        """Its pixels, (height, width, 3) RGB."""

    def key(self) -> object:
        """Plain values that change when the photographs do."""


class FolderPeople:
    """Identity sub-folders, or a manifest with the column `identity`.

    Raises:
        InputError: no identities, two that differ only in letter case, or no identity with two images.
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
        self.notes = _notes(path, people, self.images)

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
        facts = ((item.path, item.path.stat()) for item in self.images.items)
        return [(str(path), fact.st_size, fact.st_mtime_ns) for path, fact in facts]


class SynthfacePeople:
    """Rendered people."""

    notes: tuple[str, ...] = ()

    def __init__(self, data: SynthfaceData) -> None:
        side = data.render or 128
        if side == CROP:
            raise InputError(f"render={CROP}: images of {CROP} pixels count as aligned; render at 128.")
        self.data = data
        self.identities = data.identities
        self.faces = SynthfaceFaces(
            side,
            data.identities,
            data.images,
            data.seed,
            data.start,
            data.expressions,
            remember=cache_folder() if data.remember else None,
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
        return [RENDERING, self.data.model_dump(mode="json", exclude={"remember"})]


class AlignedFaces:
    """Aligned crops (112, 112, 3) with the field `identity`: a training set for recognisers.

    An image of 112 x 112 counts as aligned already; in any other the face is found and aligned by five points.
    Crops are remembered in the cache folder, so that later passes cost nothing; deleting them changes no number.

    Args:
        people: the photographs.
    """

    def __init__(self, people: People) -> None:
        self.people = people

    def __len__(self) -> int:
        return len(self.people)

    def read(self, index: int) -> Face:
        """The crop of photograph `index`.

        Raises:
            ImageError: the file cannot be decoded, or shows no face.
        """
        crops, known = self._memory
        name, label = self.people.name(index), np.asarray(self.people.label(index), np.int64)
        if known[index] == _KNOWN:
            return Face(name, np.array(crops[index]), {"identity": label})
        found = known[index] != _NO_FACE
        crop = aligned(self.people.photograph(index), self._finder) if found else None
        if crop is None:
            known[index] = _NO_FACE
            raise ImageError("no_face", "no face was found", name)
        crops[index] = crop
        known[index] = _KNOWN  # after the crop: a run killed in between makes it again
        return Face(name, crop, {"identity": label})

    def found(self) -> list[bool]:
        """Of each photograph, whether a face was cut out of it so far."""
        return [bool(flag == _KNOWN) for flag in self._memory[1]]

    @cached_property
    def _finder(self) -> FaceFinder:
        return FaceFinder()

    @cached_property
    def _memory(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        what = json.dumps([self.people.key(), FaceFinder.preprocessing, CROP]).encode()
        folder = crop_cache() / hashlib.sha256(what).hexdigest()[:16]
        folder.mkdir(parents=True, exist_ok=True)
        crops = mapped(folder / "crops.u8", (len(self), CROP, CROP, 3))
        return crops, mapped(folder / "known.u8", (len(self),))

    def __getstate__(self) -> dict[str, object]:
        left_out = ("_memory", "_finder")
        return {name: value for name, value in self.__dict__.items() if name not in left_out}


def aligned(image: NDArray[np.uint8], finder: FaceFinder) -> NDArray[np.uint8] | None:
    """The aligned crop of an image; an image of 112 x 112 is one already; None when no face is found."""
    if image.shape[:2] == (CROP, CROP):
        return image
    face = finder.find(image)
    return None if face is None else align(image, face.landmarks)


def open_people(data: SynthfaceData | FolderData) -> AlignedFaces:
    """Open the training set that settings describe."""
    return AlignedFaces(FolderPeople(data.path) if isinstance(data, FolderData) else SynthfacePeople(data))


def crop_cache() -> Path:
    """Where aligned crops are remembered: `crops` in the cache folder of facebench."""
    root = os.environ.get("FACEBENCH_CACHE") or platformdirs.user_cache_dir("facebench", appauthor=False)
    return Path(root) / "crops"


def mapped(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """A file of bytes, zero at first, that several processes map; it takes disk only where it is written."""
    with path.open("ab") as file:
        if path.stat().st_size < (size := int(np.prod(shape))):
            file.truncate(size)
    return np.memmap(path, np.uint8, "r+", shape=shape)


def _refuse_case_twins(people: list[str], path: Path) -> None:
    """Some file systems take Anna and anna for one folder: the classes would depend on the machine."""
    spellings: dict[str, str] = {}
    for person in sorted(set(people)):
        twin = spellings.setdefault(person.casefold(), person)
        if twin != person:
            raise InputError(
                f"{path}: the identities '{twin}' and '{person}' differ only in letter case. Merge them if they "
                "are one person, or rename one."
            )


def _notes(path: Path, people: list[str], images: ImageSet) -> tuple[str, ...]:
    counts = Counter(people)
    single = sorted(person for person, count in counts.items() if count == 1)
    if len(single) == len(counts):
        raise InputError(
            f"{path}: every identity has a single image, so there is nothing that images of one person share to "
            "learn from. Two or more images of each person are needed."
        )
    if len(counts) < 2:
        raise InputError(f"{path}: holds one identity, and telling people apart needs at least two.")
    notes = []
    if single:
        named = ", ".join(single[:_NAMED]) + (" ..." if len(single) > _NAMED else "")
        notes.append(f"{len(single)} of {len(counts)} identities have a single image: {named}")
    if images.rejected:
        first = images.rejected[0]
        notes.append(f"{len(images.rejected)} files are not used; the first: {first.name}: {first.reason}")
    return tuple(notes)
