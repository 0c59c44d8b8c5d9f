"""Synthetic faces as training data, rendered on first use and cached on disk."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facebench.backbones.face_detection import FaceFinder
from facebench.backbones.ffhq_alignment import align_ffhq
from facebench.core.errors import InputError
from facebench.images.decoding import ImageError
from facebench.synthface import FaceModel, Parameters
from facebench.training.data.faces import Face
from facebench.training.data.mapped_files import mapped_array

RENDERING = 1
"""Version of the renderer's images; images that an older version cached are not used."""
NOT_CACHED, CACHED, NO_FACE = range(3)
"""State of an image in the cache."""
FIELDS = ("identity", "expression", "intensity", "beta", "psi", "pose", "age", "gender")


@dataclass(frozen=True)
class Population:
    """Synthetic people and their images, a function of these values.

    Attributes:
        identities: number of people.
        images: images per person.
        seed: seed of the set.
        start: number of the first person; sets of distinct numbers share no person.
        expressions: names of expressions to sample from; all by default.
    """

    identities: int
    images: int
    seed: int = 0
    start: int = 0
    expressions: tuple[str, ...] | None = None


class SynthfaceFaces:
    """Faces of known identity, expression and pose; face i is image i % images of person i // images.

    A face is rendered when it is first read. With a cache it is stored in one file per set and read from there in
    later epochs. Deleting the cache does not change results.

    Args:
        size: pixels per side.
        people: the people and their images.
        render: pixels per side of the rendering, a multiple of `size`, to which it is averaged; `size` by default.
            Sets that differ only in `size` share their cache.
        cache: folder of the render cache; None renders on every read.
        align: align the face as `facebench align` does, so that it fills the image.
        pairs: image 2k + 1 of a person is image 2k with another expression, aligned by the same landmarks.

    Raises:
        InputError: `render` is not a multiple of `size`, or `pairs` with an odd number of images.

    Example:
        >>> faces = SynthfaceFaces(32, Population(identities=2, images=3))
        >>> len(faces), faces.read(4).name, faces.read(4).image.shape, int(faces.read(4).fields["identity"])
        (6, 'synthface 0 person 1 image 1', (32, 32, 3), 1)
    """

    def __init__(
        self,
        size: int,
        people: Population,
        *,
        render: int | None = None,
        cache: Path | None = None,
        align: bool = False,
        pairs: bool = False,
    ) -> None:
        self.render = size if render is None else render
        if pairs and people.images % 2:
            raise InputError(f"images={people.images} per person cannot be paired. Use an even number.")
        if self.render % size and not align:
            raise InputError(f"render={self.render} is not a multiple of size={size}.")
        self.size, self.people = size, people
        self.cache, self.align, self.pairs = cache, align, pairs
        self._model = FaceModel()
        self._sampled: dict[int, Parameters] = {}

    def __len__(self) -> int:
        return self.people.identities * self.people.images

    def parameters(self, index: int) -> Parameters:
        """Return the renderer parameters of face `index`; kept, since sampling costs as much as reading the image."""
        if index not in self._sampled:
            sampled = self._sample(index, 1)
            if self.pairs and index % 2 == 1:
                sampled = _with_expression_of(self._sample(index - 1, 1), sampled)
            self._sampled[index] = sampled
        return self._sampled[index]

    def all_parameters(self) -> Parameters:
        """Return the renderer parameters of all faces."""
        sampled = self._sample(0, len(self))
        if not self.pairs:
            return sampled
        rows = np.arange(len(self))
        return _with_expression_of(sampled.take(rows - rows % 2), sampled)

    def _sample(self, index: int, count: int) -> Parameters:
        people = self.people
        first = people.start * people.images + index
        return self._model.sample(
            count, people.seed, images=people.images, start=first, expressions=people.expressions
        )

    def read(self, index: int) -> Face:
        """Render face `index`, or read it from the cache.

        Raises:
            ImageError: no face was found in the rendering, so it cannot be aligned.
        """
        if not 0 <= index < len(self):
            raise IndexError(index)
        parameters = self.parameters(index)
        person, image = divmod(index, self.people.images)
        name = f"synthface {self.people.seed} person {self.people.start + person} image {image}"
        if not self.align:
            return Face(name, self._reduced(self._rendering(index, parameters)), _fields(parameters))
        aligned = self._aligned(index, parameters)
        if aligned is None:
            raise ImageError("no_face", "no face was found in the rendering", name)
        return Face(name, aligned, _fields(parameters))

    def _rendering(self, index: int, parameters: Parameters) -> NDArray[np.uint8]:
        if self._render_cache is None:
            rendered: NDArray[np.uint8] = self._model.render(parameters, self.render)[0]
            return rendered
        images, states = self._render_cache
        if states[index] == NOT_CACHED:
            images[index] = self._model.render(parameters, self.render)[0]
            states[index] = CACHED  # after the image: a run killed in between renders it again
        return np.array(images[index])

    def _aligned(self, index: int, parameters: Parameters) -> NDArray[np.uint8] | None:
        if self._aligned_cache is None:
            return self._align(index, parameters)
        images, states = self._aligned_cache
        if states[index] == NOT_CACHED:
            image = self._align(index, parameters)
            if image is not None:
                images[index] = image
            states[index] = NO_FACE if image is None else CACHED
        return None if states[index] == NO_FACE else np.array(images[index])

    def _align(self, index: int, parameters: Parameters) -> NDArray[np.uint8] | None:
        image = reference = self._rendering(index, parameters)
        if self.pairs and index % 2 == 1:  # the landmarks of the pair, so that only the expression differs
            reference = self._rendering(index - 1, self.parameters(index - 1))
        face = self._finder.find(reference)
        return None if face is None else align_ffhq(image, face.landmarks, self.size)

    @cached_property
    def _finder(self) -> FaceFinder:
        return FaceFinder()

    def _reduced(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        size, by = self.size, self.render // self.size
        if by == 1:
            return image
        # One axis at a time is several times faster than both at once.
        rows = image.reshape(size, by, -1).sum(axis=1, dtype=np.uint32)
        blocks = rows.reshape(size, size, by, 3).sum(axis=2)
        mean: NDArray[np.uint8] = ((blocks + by * by // 2) // (by * by)).astype(np.uint8)
        return mean

    @cached_property
    def _render_cache(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8]] | None:
        if (folder := self._folder) is None:
            return None
        images = mapped_array(folder / "images.u8", (len(self), self.render, self.render, 3))
        return images, mapped_array(folder / "known.u8", (len(self),))

    @cached_property
    def _aligned_cache(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8]] | None:
        if (folder := self._folder) is None:
            return None
        images = mapped_array(folder / f"aligned-{self.size}.u8", (len(self), self.size, self.size, 3))
        return images, mapped_array(folder / f"known-aligned-{self.size}.u8", (len(self),))

    @property
    def _folder(self) -> Path | None:
        if self.cache is None:
            return None
        contents = [
            RENDERING,
            self.render,
            self.people.identities,
            self.people.images,
            self.people.seed,
            self.people.start,
            self.people.expressions,
        ]
        text = json.dumps([*contents, "pairs"] if self.pairs else contents)
        key = hashlib.sha256(text.encode()).hexdigest()[:16]
        folder = self.cache / key
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def __getstate__(self) -> dict[str, object]:
        not_pickled = ("_render_cache", "_aligned_cache", "_finder")
        return {name: value for name, value in self.__dict__.items() if name not in not_pickled}


def _with_expression_of(faces: Parameters, others: Parameters) -> Parameters:
    return faces.replace(psi=others.psi, expression=others.expression, intensity=others.intensity)


def _fields(parameters: Parameters) -> dict[str, NDArray[np.generic]]:
    arrays = {name: np.asarray(getattr(parameters, name)[0]) for name in FIELDS}
    valence, arousal = parameters.affect[0]
    return {**arrays, "valence": np.float32(valence), "arousal": np.float32(arousal)}  # type: ignore[dict-item]
