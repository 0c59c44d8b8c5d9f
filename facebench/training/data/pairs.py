"""Training images with landmarks, box and another image of the same person, for identity losses."""

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

Geometry = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Landmarks (5, 2) and box (4,) of a face."""


class FacesWithPartners:
    """Adds the fields `landmarks` (5, 2) and `box` (4,); with `partners` also `positive` and `positive_landmarks`.

    Landmarks and boxes (x, y, width, height) are in pixels of the image, NaN where no face is found. `positive`
    (s, s, 3) is the partner of an image: the next image of the same person.

    Args:
        faces: the training set.
        partners: add the partners; every identity needs at least two images.
        other_people: whether the loss compares with other people of the batch; there must be two identities.

    Raises:
        InputError: identities are needed, but missing, too few, or with a single image.
    """

    def __init__(self, faces: Faces, partners: bool, other_people: bool = False) -> None:
        self.faces = faces
        identity = _identities(faces) if partners or other_people else None
        if identity is not None and other_people:
            _refuse_one_person(identity)
        self._next = _partners(faces, identity) if identity is not None and partners else None
        self._cached_geometry: dict[int, Geometry] = {}

    def __len__(self) -> int:
        return len(self.faces)

    def read(self, index: int) -> Face:
        """See `Faces`."""
        face = self.faces.read(index)
        landmarks, box = self._geometry(index, face.image)
        fields: dict[str, NDArray[Any]] = {**face.fields, "landmarks": landmarks, "box": box}
        if self._next is not None:
            partner = int(self._next[index])
            other = self.faces.read(partner)
            fields |= {"positive": other.image, "positive_landmarks": self._geometry(partner, other.image)[0]}
        return Face(face.name, face.image, fields)

    def _geometry(self, index: int, image: NDArray[np.uint8]) -> Geometry:
        if index not in self._cached_geometry:
            self._cached_geometry[index] = geometry_of(image, self._finder)
        return self._cached_geometry[index]

    @cached_property
    def _finder(self) -> FaceFinder:
        return FaceFinder()

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in self.__dict__.items() if name != "_finder"}


def geometry_of(image: NDArray[np.uint8], finder: FaceFinder) -> Geometry:
    """Detect landmarks (5, 2) and box (4,) in pixels of the image; NaN without a face.

    Small images are enlarged first.
    """
    height, width = image.shape[:2]
    scale = max(1.0, SMALLEST / min(height, width))
    if scale > 1:
        size = (round(width * scale), round(height * scale))
        image = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))
    face = finder.find(image)
    if face is None:
        return np.full((5, 2), np.nan, np.float32), np.full(4, np.nan, np.float32)
    # Pixel centres: position x of the small image is (x + 1/2) scale - 1/2 of the enlarged one.
    landmarks: NDArray[np.float32] = ((face.landmarks + 0.5) / scale - 0.5).astype(np.float32)
    x, y, box_width, box_height = np.asarray(face.box, np.float64) / scale
    corner = 0.5 / scale - 0.5
    return landmarks, np.array([x + corner, y + corner, box_width, box_height], np.float32)


def _refuse_one_person(identity: NDArray[np.int64]) -> None:
    if len(np.unique(identity)) < 2:
        raise InputError(
            "The triplet loss needs at least two people, and the data holds one. Set loss.triplet.negative=prior with "
            "prior_data of other people, or set loss.triplet=0 and give loss.identity a weight."
        )


def _partners(faces: Faces, identity: NDArray[np.int64]) -> NDArray[np.int64]:
    people, counts = np.unique(identity, return_counts=True)
    if alone := np.flatnonzero(np.isin(identity, people[counts < 2])).tolist():
        names = ", ".join(faces.read(index).name for index in alone[:LISTED])
        raise InputError(
            f"{len(alone)} of {len(people)} people have a single image ({names}{', ...' if alone[LISTED:] else ''}), "
            "so the triplet loss has no positive for them. Remove them, or set loss.triplet.positive=self."
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
        "Without identities, set loss.triplet.positive=self and loss.triplet.negative=prior, or set loss.triplet=0 and "
        "give loss.identity a weight."
    )
