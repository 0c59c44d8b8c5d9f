"""Image sets that are spread over processes: each process works on its own images, results meet on the first one.

The first process sends tasks (`Shares`), the others run them (`serve`). Pixels are not sent between processes.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from facebench.backbones import Backbone, build, detector
from facebench.backbones.face_detector import FaceDetector
from facebench.core.errors import FacebenchError, InputError, LostProcess, WeightsError
from facebench.core.progress import Progress, no_progress
from facebench.images.errors import ImageError
from facebench.images.image_set import Item
from facebench.images.jpeg_null import Reencoded
from facebench.images.sources.content import Content

if TYPE_CHECKING:
    from facebench.features.ranks import Ranks

Rows = npt.NDArray[np.float32]
_HEARTBEATS = 4
"""Messages per time limit that the first process sends while it works alone."""


@dataclass(frozen=True)
class SharedImage:
    """Reference of the first process to an image that one process holds."""

    shares: Shares = field(repr=False, compare=False)
    rank: int
    index: int
    """Position among the images of its process."""

    def read(self, name: str, max_bytes: int) -> bytes:
        """Return the image file if this process holds it.

        Raises:
            ImageError: another process holds the image.
        """
        if self.rank != 0:
            raise ImageError("unreadable", f"process {self.rank} holds the pixels", name)
        return self.shares.own[self.index].read(name, max_bytes)


class Networks:
    """Networks of one process by name and device, each built once.

    Args:
        backbones: networks that are built already.
        finder: a face detector that is built already.
    """

    def __init__(self, backbones: Sequence[Backbone] = (), finder: FaceDetector | None = None) -> None:
        self._backbones = {(each.name, each.device.type): each for each in backbones}
        self._detectors = {} if finder is None else {finder.name: finder}

    def backbone(self, name: str, device: str) -> Backbone:
        """Return a network, built on a kind of device."""
        if (name, device) not in self._backbones:
            self._backbones[name, device] = build(name, device=device)
        return self._backbones[name, device]

    def detector(self, name: str) -> FaceDetector:
        """Return a face detector."""
        if name not in self._detectors:
            self._detectors[name] = detector(name)
        return self._detectors[name]


@dataclass(frozen=True)
class Answer:
    """Result of a task on the images of one process."""

    content: Any
    arrays: Mapping[str, Rows] = field(default_factory=dict)
    """Large arrays, which are sent in blocks after the content."""


class Task(Protocol):
    """Work on images. Tasks are sent to other processes, so they can be pickled."""

    def run(self, items: Sequence[Item], networks: Networks, progress: Progress) -> Answer:
        """Work on the images of one process."""
        ...


@dataclass(frozen=True)
class _Request:
    """A task for every process, with the images of each: name, position, and whether they are re-encoded."""

    task: Task
    images: Mapping[int, Sequence[tuple[str, int, bool]]]


@dataclass(frozen=True)
class _Report:
    """Content of an answer, or the error of a process."""

    content: Any = None
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    error: FacebenchError | None = None


class _Wait:
    """The first process works alone and is alive."""


class _Deliver:
    """The arrays of the last answer are to be sent."""


@dataclass(frozen=True)
class _End:
    """The result or the error of the first process, for all."""

    result: Any = None
    error: FacebenchError | None = None


@dataclass(frozen=True)
class ShareAnswer:
    """Answer of one process, whose arrays are received on demand."""

    places: Sequence[int]
    """Positions of its images among the images of the task."""
    content: Any
    shapes: Mapping[str, tuple[int, ...]]
    fill: Callable[[Mapping[str, Rows], Mapping[str, npt.NDArray[np.int64]]], None]
    """Writes the rows of its arrays, all of them and in their order, to given rows of given tables."""


class Shares:
    """The first process's view of the images of all processes.

    Args:
        ranks: the connection.
        own: the images of this process.
        timeout: time limit of the connection in seconds.
    """

    def __init__(self, ranks: Ranks, own: Sequence[Content], timeout: float) -> None:
        self._ranks, self.own = ranks, own
        self._pause = timeout / _HEARTBEATS
        self._last = time.monotonic()
        self._asking = False

    def keep_waiting(self) -> None:
        """Send a sign of life to the other processes if the last one is long ago."""
        if not self._asking and time.monotonic() - self._last >= self._pause:
            self._tell(_Wait())

    def end(self, result: Any = None, error: FacebenchError | None = None) -> None:
        """Give the result or the error to all processes; processes that are lost are left out."""
        for rank in self._ranks.others:
            with suppress(LostProcess):
                self._ranks.send(_End(result, error), rank)

    def ask(
        self, task: Task, items: Sequence[Item], networks: Networks, progress: Progress = no_progress
    ) -> list[ShareAnswer]:
        """Run a task in the processes that hold the images.

        Raises:
            InputError: an input of a process cannot be used.
            WeightsError: a process lacks weights.
            FacebenchError: a process failed or was lost.
        """
        places: dict[int, list[int]] = {rank: [] for rank in range(self._ranks.count)}
        for place, item in enumerate(items):
            places[_shared(item).rank].append(place)
        images = {
            rank: [_address(items[place]) for place in own] for rank, own in places.items() if rank and own
        }
        self._tell(_Request(task, images))
        self._asking = True
        try:
            own = _run(task, [items[place] for place in places[0]], networks, progress)
        finally:
            # The other processes listen again only when their report was read.
            reports: dict[int, _Report] = self._ranks.receive_from_all()
            self._asking = False
        errors = [report.error for report in reports.values() if report.error is not None]
        if errors:
            raise errors[0]
        answers = [ShareAnswer(places[0], own.content, _shapes(own.arrays), _writer(own))]
        for rank in images:
            fill = self._receiver(rank, reports[rank].shapes)
            answers.append(ShareAnswer(places[rank], reports[rank].content, reports[rank].shapes, fill))
        return [answer for answer in answers if answer.places]

    def _receiver(self, rank: int, shapes: Mapping[str, tuple[int, ...]]) -> Callable[..., None]:
        def fill(tables: Mapping[str, Rows], rows: Mapping[str, npt.NDArray[np.int64]]) -> None:
            self._ranks.send(_Deliver(), rank)
            for name, shape in shapes.items():
                for block, values in self._ranks.receive_rows(rank, shape):
                    if name in tables:
                        tables[name][rows[name][block]] = values

        return fill

    def _tell(self, message: object) -> None:
        for rank in self._ranks.others:
            with suppress(LostProcess):  # reported when it does not answer
                self._ranks.send(message, rank)
        self._last = time.monotonic()


def shares_of(items: Sequence[Item]) -> Shares | None:
    """Return the processes that hold images; None if this process holds all of them by itself."""
    content = _inner(items[0]).content if items else None
    return content.shares if isinstance(content, SharedImage) else None


def map_items(task: Task, items: Sequence[Item], networks: Networks) -> list[Any]:
    """Run a task whose content is one result for each image; return the results in the order of the images."""
    shares = shares_of(items)
    if shares is None:
        return list(task.run(items, networks, no_progress).content)
    results: dict[int, Any] = {}
    for answer in shares.ask(task, items, networks):
        results.update(zip(answer.places, answer.content, strict=True))
    return [results[place] for place in range(len(items))]


def serve(ranks: Ranks, own: Sequence[Content], template: Item) -> Any:
    """Answer the first process until it ends, and return its result.

    Args:
        ranks: the connection.
        own: the images of this process.
        template: an item whose path the items of this process get.

    Raises:
        FacebenchError: the first process, or a process that it asked, failed or was lost.
    """
    networks, answer = Networks(), Answer(None)
    while not isinstance(message := ranks.receive(), _End):
        if isinstance(message, _Request):
            addresses = message.images.get(ranks.rank, ())
            items = [_item_at(template, own, *address) for address in addresses]
            report, answer = _answer(ranks.rank, message.task, items, networks)
            ranks.send(report)
        elif isinstance(message, _Deliver):
            for rows in answer.arrays.values():
                ranks.send_rows(rows)
    if message.error is not None:
        raise message.error
    return message.result


def failure_of(rank: int, error: Exception) -> FacebenchError:
    """Return the error of a process as one line with its number, and the place of an unexpected one."""
    text = " ".join(str(error).split())[:400]
    for kind in (InputError, WeightsError):
        if isinstance(error, kind):
            return kind(f"Process {rank}: {text}")
    for frame in traceback.extract_tb(error.__traceback__)[-1:]:
        text += f" ({Path(frame.filename).name}:{frame.lineno})"
    return FacebenchError(f"Process {rank} failed: {type(error).__name__}: {text}")


def _answer(rank: int, task: Task, items: Sequence[Item], networks: Networks) -> tuple[_Report, Answer]:
    """Run a task; an error becomes the report."""
    try:
        answer = _run(task, items, networks, no_progress)
    except Exception as error:
        return _Report(error=failure_of(rank, error)), Answer(None)
    return _Report(answer.content, _shapes(answer.arrays)), answer


def _run(task: Task, items: Sequence[Item], networks: Networks, progress: Progress) -> Answer:
    return task.run(items, networks, progress) if items else Answer(None)


def _shapes(arrays: Mapping[str, Rows]) -> dict[str, tuple[int, ...]]:
    return {name: rows.shape for name, rows in arrays.items()}


def _writer(answer: Answer) -> Callable[..., None]:
    def fill(tables: Mapping[str, Rows], rows: Mapping[str, npt.NDArray[np.int64]]) -> None:
        for name, values in answer.arrays.items():
            if name in tables:
                tables[name][rows[name]] = values

    return fill


def _inner(item: Item) -> Item:
    """Return the item that a re-encoded item was made from; the item itself otherwise."""
    return item.content.item if isinstance(item.content, Reencoded) else item


def _shared(item: Item) -> SharedImage:
    content = _inner(item).content
    if not isinstance(content, SharedImage):
        raise TypeError(f"{item.name} is not shared.")
    return content


def _address(item: Item) -> tuple[str, int, bool]:
    return item.name, _shared(item).index, isinstance(item.content, Reencoded)


def _item_at(template: Item, own: Sequence[Content], name: str, index: int, reencoded: bool) -> Item:
    item = replace(template, name=name, content=own[index])
    return replace(item, content=Reencoded(item)) if reencoded else item
