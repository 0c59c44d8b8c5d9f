"""One pass over an image set: what the store holds is taken from it, the rest is computed and kept."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Literal

import numpy as np
import numpy.typing as npt

from facebench.backbones.base import Backbone
from facebench.backbones.face_detection import Face, FaceFinder
from facebench.features.engine.cache import (
    PIXELS,
    Cache,
    address_of,
    network_of,
    pack_face,
    pack_pixels,
    unpack_face,
    unpack_pixels,
)
from facebench.features.engine.compute import Batch, Event
from facebench.features.engine.preparation import BOX_CROPS, Content, Seen, Task, ahead, clocked, read_item
from facebench.features.engine.table import Table
from facebench.images.image_set import Item, Rejected

_BLOCK = 16
"""Files that are read, and looked up in the store, together."""
_READERS = 2


class Pass:
    """State of one pass; `run` fills it. Rows are numbered as the items, rejected ones included.

    Args:
        items: the images.
        backbones: the networks, with different names.
        cache: what was computed before.
        finder: finds faces; None when nobody needs them.
        given_faces: by item name, the face whose box is used instead of the image's own.
        progress: called in this thread with the number of finished items and of all.
    """

    def __init__(
        self,
        items: Sequence[Item],
        backbones: Sequence[Backbone],
        cache: Cache,
        finder: FaceFinder | None,
        given_faces: Mapping[str, Face],
        progress: Callable[[int, int], None] | None,
    ) -> None:
        count = len(items)
        self.sha256 = [""] * count
        self.sizes = np.zeros((count, 2), np.int64)
        self.faces: list[Face | None] = [None] * count
        self.tables = {backbone.name: Table(backbone.arrays, count) for backbone in backbones}
        self.rejected: dict[int, Rejected] = {}
        self.excluded: list[tuple[int, Rejected]] = []
        self.notes: dict[int, tuple[str, ...]] = {}
        self.seconds: dict[str, float] = {}
        self.warnings: list[str] = []
        self._items, self._cache = items, cache
        self._backbones = {backbone.name: backbone for backbone in backbones}
        self.finder, self._given_faces = finder, given_faces
        self._progress = progress
        self._unfinished = np.zeros(count, np.int64)
        self._done = 0
        self._first: dict[bytes, int] = {}
        self._copies: list[tuple[int, int]] = []

    def run(self, compute: Callable[[Iterator[Task]], Generator[Event, None, None]]) -> None:
        """Do the work. Whatever happens, results that were computed are in the store afterwards.

        Args:
            compute: turns the tasks that are left into results, in any order.
        """
        readers = ThreadPoolExecutor(_READERS)
        try:
            contents = ahead(readers, read_item, enumerate(self._items), 2 * _BLOCK)
            with closing(compute(self._plan(contents))) as events:
                for event in events:
                    self._count(event.seconds)
                    if isinstance(event, Batch):
                        self._keep(event)
                    else:
                        self._take(event)
        finally:
            readers.shutdown(wait=True, cancel_futures=True)
            self._cache.flush()
        for index, first in self._copies:
            self._copy(index, first)

    def _plan(self, contents: Iterator[Content]) -> Iterator[Task]:
        """Take from the store what it has, and yield what is left to compute."""
        while block := list(itertools.islice(contents, _BLOCK)):
            fresh = [content for content in block if self._is_new(content)]
            with clocked(self.seconds, "store"):
                tasks = self._look_up(fresh)
            yield from tasks

    def _is_new(self, content: Content) -> bool:
        """Whether this is readable and the first image of its content (and given face)."""
        index = content.index
        self._count(content.seconds)
        if content.rejected is not None:
            self._reject(index, content.rejected)
            return False
        self.sha256[index] = content.sha256
        first = self._first.setdefault(address_of(content.sha256, self._box(index, None)), index)
        if first != index:
            self._copies.append((index, first))
            self._finish(index)
        return first == index

    def _look_up(self, contents: Sequence[Content]) -> list[Task]:
        sha256 = {content.index: content.sha256 for content in contents}
        pixels = self._cache.get(PIXELS, [address_of(value) for value in sha256.values()])
        faces = self._known_faces(sha256)
        missing: dict[int, list[str]] = {index: [] for index in sha256}
        for backbone in self._backbones.values():
            self._look_up_network(backbone, sha256, faces, missing)
        tasks = []
        for content in contents:
            index, stored = content.index, pixels.get(address_of(content.sha256))
            find_face = self.finder is not None and index not in faces
            if stored is not None and not missing[index] and not find_face:
                size, notes = unpack_pixels(stored)
                self._describe(index, size, notes, faces.get(index))
                self._finish(index)
            else:
                name, face = self._items[index].name, faces.get(index)
                box = self._box(index, None)
                tasks.append(Task(index, name, content.data, missing[index], face, box, find_face))
        return tasks

    def _known_faces(self, sha256: Mapping[int, str]) -> dict[int, Face | None]:
        """Faces that need not be searched, because the store has them."""
        if self.finder is None:
            return {}
        stored = self._cache.get(network_of(self.finder), [address_of(value) for value in sha256.values()])
        return {
            index: unpack_face(stored[address_of(value)])
            for index, value in sha256.items()
            if address_of(value) in stored
        }

    def _look_up_network(
        self,
        backbone: Backbone,
        sha256: Mapping[int, str],
        faces: Mapping[int, Face | None],
        missing: Mapping[int, list[str]],
    ) -> None:
        """Set the rows that the store has, and add the backbone to `missing` for the others."""
        addresses: dict[int, bytes] = {}
        for index, value in sha256.items():
            if backbone.crop == "image":
                addresses[index] = address_of(value)
            elif index not in faces:
                missing[index].append(backbone.name)
            elif (face := faces[index]) is not None:
                addresses[index] = address_of(value, self._seen(backbone, index, face))
        stored = self._cache.get(network_of(backbone), list(addresses.values()))
        for index, address in addresses.items():
            if address in stored:
                self._set(backbone, index, stored[address])
            else:
                missing[index].append(backbone.name)

    def _take(self, seen: Seen) -> None:
        """Note what an image is; its results are yet to come."""
        index = seen.index
        if seen.rejected is not None:
            self._reject(index, seen.rejected)
            return
        address = address_of(self.sha256[index])
        self._cache.put(PIXELS, address, pack_pixels(seen.size, seen.notes))
        if seen.sought_face and self.finder is not None:
            self._cache.put(network_of(self.finder), address, pack_face(seen.face))
        self._describe(index, seen.size, seen.notes, seen.face)
        self._unfinished[index] = len(seen.networks)
        if not seen.networks:
            self._finish(index)

    def _keep(self, batch: Batch) -> None:
        """Write the results of a batch to the table and to the store."""
        backbone = self._backbones[batch.network]
        self.warnings += batch.warnings
        with clocked(self.seconds, "store"):
            for index, rows in batch.results:
                face = self._seen(backbone, index, self.faces[index])
                self._cache.put(network_of(backbone), address_of(self.sha256[index], face), rows)
            self._cache.flush()
        for index, rows in batch.results:
            self._set(backbone, index, rows)
            self._unfinished[index] -= 1
            if self._unfinished[index] == 0:
                self._finish(index)

    def _set(self, backbone: Backbone, index: int, rows: Mapping[str, npt.NDArray[np.float32]]) -> None:
        culprit = self.tables[backbone.name].set(index, rows)
        if culprit is not None:
            scope: Literal["all", "faces"] = "all" if backbone.crop == "image" else "faces"
            detail = f"{backbone.name} gave a {culprit} that is not finite"
            self.excluded.append((index, Rejected(self._items[index].name, "not_finite", detail, scope)))

    def _describe(self, index: int, size: tuple[int, int], notes: tuple[str, ...], face: Face | None) -> None:
        self.sizes[index] = size
        self.faces[index] = face
        if notes:
            self.notes[index] = notes
        if self.finder is not None and face is None:
            rejected = Rejected(self._items[index].name, "no_face", "no face was found", "faces")
            self.excluded.append((index, rejected))

    def _copy(self, index: int, first: int) -> None:
        """An image with the content of an earlier one has its results, and its fate."""
        name = self._items[index].name
        if first in self.rejected:
            before = self.rejected[first]
            self.rejected[index] = Rejected(name, before.reason, before.detail, before.scope)
            return
        self.sizes[index], self.faces[index] = self.sizes[first], self.faces[first]
        if first in self.notes:
            self.notes[index] = self.notes[first]
        for table in self.tables.values():
            table.copy(index, first)
        for other, before in list(self.excluded):
            if other == first:
                self.excluded.append((index, Rejected(name, before.reason, before.detail, before.scope)))

    def _box(self, index: int, own: Face | None) -> Face | None:
        """The face whose box is cut out."""
        return self._given_faces.get(self._items[index].name, own)

    def _seen(self, backbone: Backbone, index: int, own: Face | None) -> Face | None:
        """The face that decides what a network sees of an image; None when it sees all of it."""
        if backbone.crop == "image":
            return None
        return self._box(index, own) if backbone.crop in BOX_CROPS else own

    def _reject(self, index: int, rejected: Rejected) -> None:
        self.rejected[index] = rejected
        self._finish(index)

    def _finish(self, index: int) -> None:
        self._done += 1
        if self._progress is not None:
            self._progress(self._done, len(self._items))

    def _count(self, seconds: Mapping[str, float]) -> None:
        for what, value in seconds.items():
            self.seconds[what] = self.seconds.get(what, 0.0) + value
