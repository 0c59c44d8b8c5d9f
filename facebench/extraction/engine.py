"""One pass over an image set: what the store holds is taken from it, the rest is computed and kept."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import numpy.typing as npt

from facebench.backbones.base import Backbone
from facebench.extraction.batches import Batcher, Rows
from facebench.extraction.cache import (
    PIXELS,
    Cache,
    address_of,
    network_of,
    pack_face,
    pack_pixels,
    unpack_face,
    unpack_pixels,
)
from facebench.extraction.pipeline import (
    BOX_CROPS,
    Content,
    Prepared,
    Task,
    ahead,
    clocked,
    prepare,
    read_item,
)
from facebench.extraction.table import Table
from facebench.faces import Face, FaceFinder
from facebench.images import Item, Rejected

_BLOCK = 16
"""Files that are read, and looked up in the store, together."""
_READERS = 2


@dataclass(frozen=True)
class Ticket:
    """Whose result a network input becomes."""

    index: int
    address: bytes


class Pass:
    """State of one pass; `run` fills it. Rows are numbered as the items, rejected ones included.

    Args:
        items: the images.
        backbones: the networks, with different names.
        cache: what was computed before.
        finder: finds faces; None when nobody needs them.
        given_faces: by item name, the face whose box is used instead of the image's own.
        batch_size: for each backbone name.
        workers: threads that decode and preprocess.
        progress: called in this thread with the number of finished items and of all.
    """

    def __init__(
        self,
        items: Sequence[Item],
        backbones: Sequence[Backbone],
        cache: Cache,
        finder: FaceFinder | None,
        given_faces: Mapping[str, Face],
        batch_size: Mapping[str, int],
        workers: int,
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
        self._items, self._backbones, self._cache = items, backbones, cache
        self.finder, self._given_faces = finder, given_faces
        self._batchers = {b.name: Batcher[Ticket](b, batch_size[b.name]) for b in backbones}
        self._workers, self._progress = workers, progress
        self._depth = 2 * max(batch_size.values(), default=1) + workers
        self._unfinished = np.zeros(count, np.int64)
        self._done = 0
        self._first: dict[bytes, int] = {}
        self._copies: list[tuple[int, int]] = []

    def run(self) -> None:
        """Do the work. Whatever happens, results that were computed are in the store afterwards."""
        readers, workers = ThreadPoolExecutor(_READERS), ThreadPoolExecutor(self._workers)
        try:
            contents = ahead(readers, read_item, enumerate(self._items), 2 * _BLOCK)
            work = partial(prepare, finder=self.finder)
            for prepared in ahead(workers, work, self._plan(contents), self._depth):
                self._take(prepared)
            for name, batcher in self._batchers.items():
                with clocked(self.seconds, f"embed {name}"):
                    results = batcher.flush()
                self._keep(name, results)
        finally:
            for pool in (workers, readers):
                pool.shutdown(wait=True, cancel_futures=True)
            self._cache.flush()
        for index, first in self._copies:
            self._copy(index, first)

    @property
    def warnings(self) -> list[str]:
        """What the networks had to put up with."""
        return [warning for batcher in self._batchers.values() for warning in batcher.warnings]

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
        missing: dict[int, list[Backbone]] = {index: [] for index in sha256}
        for backbone in self._backbones:
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
        missing: Mapping[int, list[Backbone]],
    ) -> None:
        """Set the rows that the store has, and add the backbone to `missing` for the others."""
        addresses: dict[int, bytes] = {}
        for index, value in sha256.items():
            if backbone.crop == "image":
                addresses[index] = address_of(value)
            elif index not in faces:
                missing[index].append(backbone)
            elif (face := faces[index]) is not None:
                addresses[index] = address_of(value, self._seen(backbone, index, face))
        stored = self._cache.get(network_of(backbone), list(addresses.values()))
        for index, address in addresses.items():
            if address in stored:
                self._set(backbone, index, stored[address])
            else:
                missing[index].append(backbone)

    def _take(self, prepared: Prepared) -> None:
        """Hand one prepared image to the networks."""
        task = prepared.task
        self._count(prepared.seconds)
        if prepared.rejected is not None:
            self._reject(task.index, prepared.rejected)
            return
        address = address_of(self.sha256[task.index])
        self._cache.put(PIXELS, address, pack_pixels(prepared.size, prepared.notes))
        if task.find_face and self.finder is not None:
            self._cache.put(network_of(self.finder), address, pack_face(prepared.face))
        self._describe(task.index, prepared.size, prepared.notes, prepared.face)
        self._unfinished[task.index] = len(prepared.inputs)
        if not prepared.inputs:
            self._finish(task.index)
        for name, tensor in prepared.inputs.items():
            batcher = self._batchers[name]
            face = self._seen(batcher.backbone, task.index, prepared.face)
            ticket = Ticket(task.index, address_of(self.sha256[task.index], face))
            with clocked(self.seconds, f"embed {name}"):
                results = batcher.add(ticket, tensor)
            self._keep(name, results)

    def _keep(self, name: str, results: Sequence[tuple[Ticket, Rows]]) -> None:
        """Write the results of a batch to the table and to the store."""
        if not results:
            return
        backbone = self._batchers[name].backbone
        with clocked(self.seconds, "store"):
            for ticket, rows in results:
                self._cache.put(network_of(backbone), ticket.address, rows)
            self._cache.flush()
        for ticket, rows in results:
            self._set(backbone, ticket.index, rows)
            self._unfinished[ticket.index] -= 1
            if self._unfinished[ticket.index] == 0:
                self._finish(ticket.index)

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
