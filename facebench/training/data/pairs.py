"""Training images with landmarks and another image of the same person, for identity losses."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facebench.backbones.face_detection import FaceFinder
from facebench.core.errors import InputError
from facebench.training.data.faces import Face, Faces
from facebench.training.data.folders import FolderFaces
from facebench.training.data.synthetic import SynthfaceFaces

SMALLEST = 128
"""Smaller images are enlarged to this size, because the face detector misses faces in them."""
LISTED = 3
"""Images that an error names."""


class FacesWithPartners:
    """Adds the field `landmarks` (5, 2); with `partners` also `positive` (s, s, 3) and `positive_landmarks`.

    Landmarks are in pixels of the image, NaN where no face is found. The partner of an image is the next image of
    the same person.

    Args:
        faces: the training set.
        partners: add the partners; every identity needs at least two images.

    Raises:
        InputError: partners are wanted, but identities are missing or have a single image.
    """

    def __init__(self, faces: Faces, partners: bool) -> None:
        self.faces = faces
        self._next = _partners(faces) if partners else None
        self._cached_landmarks: dict[int, NDArray[np.float32]] = {}

    def __len__(self) -> int:
        return len(self.faces)

    def read(self, index: int) -> Face:
        """See `Faces`."""
        face = self.faces.read(index)
        fields: dict[str, NDArray[Any]] = {**face.fields, "landmarks": self._landmarks(index, face.image)}
        if self._next is not None:
            partner = int(self._next[index])
            other = self.faces.read(partner)
            fields |= {"positive": other.image, "positive_landmarks": self._landmarks(partner, other.image)}
        return Face(face.name, face.image, fields)

    def _landmarks(self, index: int, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        if index not in self._cached_landmarks:
            self._cached_landmarks[index] = landmarks_of(image, self._finder)
        return self._cached_landmarks[index]

    @cached_property
    def _finder(self) -> FaceFinder:
        return FaceFinder()

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in self.__dict__.items() if name != "_finder"}


def landmarks_of(image: NDArray[np.uint8], finder: FaceFinder) -> NDArray[np.float32]:
    """Detect five landmarks (5, 2) in pixels of the image; NaN without a face. Small images are enlarged first."""
    height, width = image.shape[:2]
    scale = max(1.0, SMALLEST / min(height, width))
    if scale > 1:
        size = (round(width * scale), round(height * scale))
        image = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))
    face = finder.find(image)
    if face is None:
        return np.full((5, 2), np.nan, np.float32)
    # Pixel centres: position x of the small image is (x + 1/2) scale - 1/2 of the enlarged one.
    landmarks: NDArray[np.float32] = ((face.landmarks + 0.5) / scale - 0.5).astype(np.float32)
    return landmarks


def _partners(faces: Faces) -> NDArray[np.int64]:
    identity = _identities(faces)
    people, counts = np.unique(identity, return_counts=True)
    if len(people) < 2:
        raise InputError(
            "The triplet loss needs at least two people, and the data holds one. Set loss.triplet=0 and give "
            "loss.identity a weight; it works with one person."
        )
    if alone := np.flatnonzero(np.isin(identity, people[counts < 2])).tolist():
        names = ", ".join(faces.read(index).name for index in alone[:LISTED])
        raise InputError(
            f"{len(alone)} of {len(people)} people have a single image ({names}{', ...' if alone[LISTED:] else ''}), "
            "so the triplet loss has no positive for them. Remove them, or set loss.triplet=0."
        )
    partner = np.empty(len(identity), np.int64)
    for person in people:
        rows = np.flatnonzero(identity == person)
        partner[rows] = np.roll(rows, -1)
    return partner


def _identities(faces: Faces) -> NDArray[np.int64]:
    if isinstance(faces, SynthfaceFaces):
        return np.arange(len(faces)) // faces.people.images
    if isinstance(faces, FolderFaces) and faces.people:
        identity = faces.identities
        if (identity >= 0).all():
            return identity
    raise InputError(
        "The triplet loss needs identities: sub-folders per person, or a manifest with a filled column `identity`. "
        "For images of one person, set loss.triplet=0 and give loss.identity a weight."
    )
