"""Synthetic faces as training data: rendered by their number, remembered on disk."""

from __future__ import annotations

import hashlib
import json
import os
from functools import cached_property
from pathlib import Path

import numpy as np
import platformdirs
from numpy.typing import NDArray

from facebench.backbones.face_detection import FaceFinder
from facebench.backbones.ffhq_alignment import align_ffhq
from facebench.core.errors import InputError
from facebench.images.decoding import ImageError
from facebench.synthface import FaceModel, Parameters
from facebench.training.data.faces import Face

RENDERING = 1
"""Counts up when the renderer's pictures change, so that remembered ones are not used again."""
UNKNOWN, KNOWN, FACELESS = range(3)
"""What is remembered of a face."""
FIELDS = ("identity", "expression", "intensity", "beta", "psi", "pose", "age", "gender")


class SynthfaceFaces:
    """Faces of known identity, expression and pose; face i is image i % images of person i // images.

    A face is rendered when it is first read, and remembered in one file per set, so that later passes cost
    nothing. The file is only a cache: deleting it changes no number.

    Args:
        size: pixels per side.
        identities: how many people.
        images: images per person.
        seed: the set.
        start: number of the first person, for sets of other people.
        expressions: names to draw from, all by default.
        render: pixels per side of the rendering, a multiple of `size` to which it is averaged; `size` by default.
            Sets that differ in `size` only share what is remembered.
        remember: folder of the cache; None renders every time.
        align: cut the face out of the rendering as `facebench align` does, so that it fills the picture.
        pairs: image 2k + 1 of a person is image 2k with another expression, cut out at the same place.

    Raises:
        InputError: renderings that cannot be reduced to `size`, or pairs of an odd number of images.

    Example:
        >>> faces = SynthfaceFaces(32, identities=2, images=3, remember=None)
        >>> len(faces), faces.read(4).name, faces.read(4).image.shape, int(faces.read(4).fields["identity"])
        (6, 'synthface 0 person 1 image 1', (32, 32, 3), 1)
    """

    def __init__(
        self,
        size: int,
        identities: int,
        images: int,
        seed: int = 0,
        start: int = 0,
        expressions: tuple[str, ...] | None = None,
        render: int | None = None,
        remember: Path | None = None,
        align: bool = False,
        pairs: bool = False,
    ) -> None:
        self.render = size if render is None else render
        if pairs and images % 2:
            raise InputError(f"images={images} per person cannot be paired. Use an even number.")
        if self.render % size and not align:
            raise InputError(f"render={self.render} is no multiple of size={size}.")
        self.size, self.identities, self.images, self.seed, self.start = size, identities, images, seed, start
        self.expressions = expressions
        self.remember, self.align, self.pairs = remember, align, pairs
        self._model = FaceModel()
        self._drawn: dict[int, Parameters] = {}

    def __len__(self) -> int:
        return self.identities * self.images

    def parameters(self, index: int) -> Parameters:
        """What face `index` is made of; drawn once, since that costs as much as reading the picture."""
        if index not in self._drawn:
            own = self._sample(index, 1)
            paired = self.pairs and index % 2 == 1
            self._drawn[index] = _with_expression_of(self._sample(index - 1, 1), own) if paired else own
        return self._drawn[index]

    def all_parameters(self) -> Parameters:
        """What all faces are made of."""
        own = self._sample(0, len(self))
        if not self.pairs:
            return own
        rows = np.arange(len(self))
        return _with_expression_of(own.take(rows - rows % 2), own)

    def _sample(self, index: int, count: int) -> Parameters:
        first = self.start * self.images + index
        return self._model.sample(
            count, self.seed, images=self.images, start=first, expressions=self.expressions
        )

    def read(self, index: int) -> Face:
        """Render face `index`, or recall it.

        Raises:
            ImageError: it is to be aligned, and no face was found in the rendering.
        """
        if not 0 <= index < len(self):
            raise IndexError(index)
        parameters = self.parameters(index)
        person, image = divmod(index, self.images)
        name = f"synthface {self.seed} person {self.start + person} image {image}"
        if not self.align:
            return Face(name, self._reduced(self._rendering(index, parameters)), _fields(parameters))
        aligned = self._aligned(index, parameters)
        if aligned is None:
            raise ImageError("no_face", "none was found in the rendering", name)
        return Face(name, aligned, _fields(parameters))

    def _rendering(self, index: int, parameters: Parameters) -> NDArray[np.uint8]:
        if self._memory is None:
            rendered: NDArray[np.uint8] = self._model.render(parameters, self.render)[0]
            return rendered
        pictures, known = self._memory
        if known[index] == UNKNOWN:
            pictures[index] = self._model.render(parameters, self.render)[0]
            known[index] = KNOWN  # after the picture: a run killed in between renders it again
        return np.array(pictures[index])

    def _aligned(self, index: int, parameters: Parameters) -> NDArray[np.uint8] | None:
        if self._aligned_memory is None:
            return self._cut_out(index, parameters)
        pictures, known = self._aligned_memory
        if known[index] == UNKNOWN:
            image = self._cut_out(index, parameters)
            if image is not None:
                pictures[index] = image
            known[index] = FACELESS if image is None else KNOWN
        return None if known[index] == FACELESS else np.array(pictures[index])

    def _cut_out(self, index: int, parameters: Parameters) -> NDArray[np.uint8] | None:
        shown = located = self._rendering(index, parameters)
        if self.pairs and index % 2 == 1:  # where its pair is, so that they differ in expression alone
            located = self._rendering(index - 1, self.parameters(index - 1))
        face = self._finder.find(located)
        return None if face is None else align_ffhq(shown, face.landmarks, self.size)

    @cached_property
    def _finder(self) -> FaceFinder:
        return FaceFinder()

    def _reduced(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        size, by = self.size, self.render // self.size
        if by == 1:
            return image
        # One axis after the other: both at once is several times slower.
        rows = image.reshape(size, by, -1).sum(axis=1, dtype=np.uint32)
        blocks = rows.reshape(size, size, by, 3).sum(axis=2)
        mean: NDArray[np.uint8] = ((blocks + by * by // 2) // (by * by)).astype(np.uint8)
        return mean

    @cached_property
    def _memory(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8]] | None:
        if (folder := self._folder) is None:
            return None
        pictures = _shared(folder / "images.u8", (len(self), self.render, self.render, 3))
        return pictures, _shared(folder / "known.u8", (len(self),))

    @cached_property
    def _aligned_memory(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8]] | None:
        if (folder := self._folder) is None:
            return None
        pictures = _shared(folder / f"aligned-{self.size}.u8", (len(self), self.size, self.size, 3))
        return pictures, _shared(folder / f"known-aligned-{self.size}.u8", (len(self),))

    @property
    def _folder(self) -> Path | None:
        if self.remember is None:
            return None
        what = [RENDERING, self.render, self.identities, self.images, self.seed, self.start, self.expressions]
        text = json.dumps([*what, "pairs"] if self.pairs else what)
        key = hashlib.sha256(text.encode()).hexdigest()[:16]
        folder = self.remember / key
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def __getstate__(self) -> dict[str, object]:
        left = ("_memory", "_aligned_memory", "_finder")
        return {name: value for name, value in self.__dict__.items() if name not in left}


def cache_folder() -> Path:
    """Where rendered training faces are remembered: `synthface` in the cache folder of facebench."""
    root = os.environ.get("FACEBENCH_CACHE") or platformdirs.user_cache_dir("facebench", appauthor=False)
    return Path(root) / "synthface"


def _shared(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """A file of bytes, zero at first, that several processes map; it takes disk only where it is written."""
    size = int(np.prod(shape))
    with path.open("ab") as file:
        if path.stat().st_size < size:
            file.truncate(size)
    return np.memmap(path, np.uint8, "r+", shape=shape)


def _with_expression_of(faces: Parameters, others: Parameters) -> Parameters:
    return faces.replace(psi=others.psi, expression=others.expression, intensity=others.intensity)


def _fields(parameters: Parameters) -> dict[str, NDArray[np.generic]]:
    arrays = {name: np.asarray(getattr(parameters, name)[0]) for name in FIELDS}
    valence, arousal = parameters.affect[0]
    return {**arrays, "valence": np.float32(valence), "arousal": np.float32(arousal)}  # type: ignore[dict-item]
