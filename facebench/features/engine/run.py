"""Extraction of one image set: known results come from the store, the remaining ones are computed and stored."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Literal

import numpy as np
import numpy.typing as npt

from facebench.backbones.base import Backbone
from facebench.backbones.face_detection import Face
from facebench.backbones.face_detector import FaceDetector
from facebench.features.engine.cache import (
    IMAGE,
    Cache,
    address_of,
    face_from_arrays,
    face_to_arrays,
    image_from_arrays,
    image_to_arrays,
    network_of,
)
from facebench.features.engine.compute import BatchResults, Event
from facebench.features.engine.preparation import (
    BOX_CROPS,
    FileContent,
    ImageTask,
    PreparedImage,
    prefetch,
    read_item,
    timed,
)
from facebench.features.engine.table import FeatureTable
from facebench.images.image_set import Item, Rejected

_BLOCK_SIZE = 16
"""Files that are read and looked up in the store together."""
_READER_THREADS = 2


class ExtractionRun:
    """State of one extraction, filled by `run`. Rows are numbered like the items, including rejected ones.

    Args:
        items: the images.
        backbones: networks with unique names.
        cache: previous results.
        finder: face detector; None if no face is needed.
        box_faces: by item name, the face that determines box crops in place of the detected face.
        report: called in this thread with the number of finished items.
    """

    def __init__(
        self,
        items: Sequence[Item],
        backbones: Sequence[Backbone],
        cache: Cache,
        finder: FaceDetector | None,
        box_faces: Mapping[str, Face],
        report: Callable[[int], None],
    ) -> None:
        count = len(items)
        self.sha256 = [""] * count
        self.sizes = np.zeros((count, 2), np.int64)
        self.faces: list[Face | None] = [None] * count
        self.tables = {backbone.name: FeatureTable(backbone.arrays, count) for backbone in backbones}
        self.rejected: dict[int, Rejected] = {}
        self.excluded: list[tuple[int, Rejected]] = []
        self.notes: dict[int, tuple[str, ...]] = {}
        self.seconds: dict[str, float] = {}
        self.warnings: list[str] = []
        self._items, self._cache = items, cache
        self._backbones = {backbone.name: backbone for backbone in backbones}
        self.finder, self._box_faces = finder, box_faces
        self._report = report
        self._pending_networks = np.zeros(count, np.int64)
        self._done = 0
        self._first_index: dict[bytes, int] = {}
        self._copies: list[tuple[int, int]] = []

    def run(self, compute: Callable[[Iterator[ImageTask]], Generator[Event, None, None]]) -> None:
        """Extract all features. Computed results are in the store even if an exception ends the run.

        Args:
            compute: processes the remaining tasks in any order.
        """
        readers = ThreadPoolExecutor(_READER_THREADS)
        try:
            contents = prefetch(readers, read_item, enumerate(self._items), 2 * _BLOCK_SIZE)
            with closing(compute(self._plan_tasks(contents))) as events:
                for event in events:
                    self._add_seconds(event.seconds)
                    if isinstance(event, BatchResults):
                        self._store_batch(event)
                    else:
                        self._store_image(event)
        finally:
            readers.shutdown(wait=True, cancel_futures=True)
            self._cache.flush()
        for index, first in self._copies:
            self._copy_results(index, first)

    def _plan_tasks(self, contents: Iterator[FileContent]) -> Iterator[ImageTask]:
        """Load known results from the store and yield tasks for the missing ones."""
        while block := list(itertools.islice(contents, _BLOCK_SIZE)):
            new = [content for content in block if self._is_new(content)]
            with timed(self.seconds, "store"):
                tasks = self._look_up(new)
            yield from tasks

    def _is_new(self, content: FileContent) -> bool:
        """Whether the file is readable and the first with its content (and box face)."""
        index = content.index
        self._add_seconds(content.seconds)
        if content.rejected is not None:
            self._reject(index, content.rejected)
            return False
        self.sha256[index] = content.sha256
        first = self._first_index.setdefault(address_of(content.sha256, self._box_face(index, None)), index)
        if first != index:
            self._copies.append((index, first))
            self._mark_done()
        return first == index

    def _look_up(self, contents: Sequence[FileContent]) -> list[ImageTask]:
        sha256 = {content.index: content.sha256 for content in contents}
        images = self._cache.get(IMAGE, [address_of(digest) for digest in sha256.values()])
        faces = self._known_faces(sha256)
        missing: dict[int, list[str]] = {index: [] for index in sha256}
        for backbone in self._backbones.values():
            self._look_up_network(backbone, sha256, faces, missing)
        tasks = []
        for content in contents:
            index, stored = content.index, images.get(address_of(content.sha256))
            find_face = self.finder is not None and index not in faces
            if stored is not None and not missing[index] and not find_face:
                size, notes = image_from_arrays(stored)
                self._set_facts(index, size, notes, faces.get(index))
                self._mark_done()
            else:
                name, face = self._items[index].name, faces.get(index)
                box = self._box_face(index, None)
                tasks.append(ImageTask(index, name, content.data, missing[index], face, box, find_face))
        return tasks

    def _known_faces(self, sha256: Mapping[int, str]) -> dict[int, Face | None]:
        """Return the stored detections by index."""
        if self.finder is None:
            return {}
        stored = self._cache.get(network_of(self.finder), [address_of(digest) for digest in sha256.values()])
        return {
            index: face_from_arrays(stored[address_of(digest)])
            for index, digest in sha256.items()
            if address_of(digest) in stored
        }

    def _look_up_network(
        self,
        backbone: Backbone,
        sha256: Mapping[int, str],
        faces: Mapping[int, Face | None],
        missing: Mapping[int, list[str]],
    ) -> None:
        """Set the stored rows of a network and add its name to `missing` for the other images."""
        addresses: dict[int, bytes] = {}
        for index, digest in sha256.items():
            if backbone.crop == "image":
                addresses[index] = address_of(digest)
            elif index not in faces:
                missing[index].append(backbone.name)
            elif (face := faces[index]) is not None:
                addresses[index] = address_of(digest, self._crop_face(backbone, index, face))
        stored = self._cache.get(network_of(backbone), list(addresses.values()))
        for index, address in addresses.items():
            if address in stored:
                self._set_row(backbone, index, stored[address])
            else:
                missing[index].append(backbone.name)

    def _store_image(self, image: PreparedImage) -> None:
        """Store the facts about an image; the results of its networks follow."""
        index = image.index
        if image.rejected is not None:
            self._reject(index, image.rejected)
            return
        address = address_of(self.sha256[index])
        self._cache.put(IMAGE, address, image_to_arrays(image.size, image.notes))
        if image.detected and self.finder is not None:
            self._cache.put(network_of(self.finder), address, face_to_arrays(image.face))
        self._set_facts(index, image.size, image.notes, image.face)
        self._pending_networks[index] = len(image.networks)
        if not image.networks:
            self._mark_done()

    def _store_batch(self, batch: BatchResults) -> None:
        """Write the results of a batch to the store and to the table."""
        backbone = self._backbones[batch.network]
        self.warnings += batch.warnings
        with timed(self.seconds, "store"):
            for index, rows in batch.results:
                face = self._crop_face(backbone, index, self.faces[index])
                self._cache.put(network_of(backbone), address_of(self.sha256[index], face), rows)
            self._cache.flush()
        for index, rows in batch.results:
            self._set_row(backbone, index, rows)
            self._pending_networks[index] -= 1
            if self._pending_networks[index] == 0:
                self._mark_done()

    def _set_row(self, backbone: Backbone, index: int, rows: Mapping[str, npt.NDArray[np.float32]]) -> None:
        array = self.tables[backbone.name].set(index, rows)
        if array is not None:
            scope: Literal["all", "faces"] = "all" if backbone.crop == "image" else "faces"
            detail = f"{backbone.name}: the array '{array}' is not finite"
            self.excluded.append((index, Rejected(self._items[index].name, "not_finite", detail, scope)))

    def _set_facts(
        self, index: int, size: tuple[int, int], notes: tuple[str, ...], face: Face | None
    ) -> None:
        self.sizes[index] = size
        self.faces[index] = face
        if notes:
            self.notes[index] = notes
        if self.finder is not None and face is None:
            rejected = Rejected(self._items[index].name, "no_face", "no face was detected", "faces")
            self.excluded.append((index, rejected))

    def _copy_results(self, index: int, first: int) -> None:
        """Copy results or rejections of an earlier image with the same content."""
        name = self._items[index].name
        if first in self.rejected:
            earlier = self.rejected[first]
            self.rejected[index] = Rejected(name, earlier.reason, earlier.detail, earlier.scope)
            return
        self.sizes[index], self.faces[index] = self.sizes[first], self.faces[first]
        if first in self.notes:
            self.notes[index] = self.notes[first]
        for table in self.tables.values():
            table.copy(index, first)
        for excluded_index, earlier in list(self.excluded):
            if excluded_index == first:
                copied = Rejected(name, earlier.reason, earlier.detail, earlier.scope)
                self.excluded.append((index, copied))

    def _box_face(self, index: int, detected: Face | None) -> Face | None:
        """Return the face that determines box crops."""
        return self._box_faces.get(self._items[index].name, detected)

    def _crop_face(self, backbone: Backbone, index: int, detected: Face | None) -> Face | None:
        """Return the face that determines the crop of a network; None if it receives the whole image."""
        if backbone.crop == "image":
            return None
        return self._box_face(index, detected) if backbone.crop in BOX_CROPS else detected

    def _reject(self, index: int, rejected: Rejected) -> None:
        self.rejected[index] = rejected
        self._mark_done()

    def _mark_done(self) -> None:
        self._done += 1
        self._report(self._done)

    def _add_seconds(self, seconds: Mapping[str, float]) -> None:
        for stage, value in seconds.items():
            self.seconds[stage] = self.seconds.get(stage, 0.0) + value
