"""From an item to network inputs: read, decode, find the face, crop, preprocess. Runs in worker threads."""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from torch import Tensor

from facebench.backbones.base import Backbone
from facebench.backbones.face_detection import Face, FaceFinder, crop
from facebench.images.image_set import ImageError, Item, Rejected, decode_with_notes, read

BOX_CROPS = ("face224", "face256")
"""Crops around the face's box; the other one is aligned by its landmarks."""

Argument = TypeVar("Argument")
Result = TypeVar("Result")


def ahead(
    pool: ThreadPoolExecutor,
    function: Callable[[Argument], Result],
    arguments: Iterable[Argument],
    depth: int,
) -> Iterator[Result]:
    """Results of `function` in the order of the arguments, at most `depth` of them in work or waiting."""
    waiting: deque[Future[Result]] = deque()
    for argument in arguments:
        waiting.append(pool.submit(function, argument))
        if len(waiting) >= depth:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


@contextmanager
def clocked(seconds: dict[str, float], what: str) -> Iterator[None]:
    """Add the time spent inside to `seconds[what]`."""
    start = time.perf_counter()
    try:
        yield
    finally:
        seconds[what] = seconds.get(what, 0.0) + time.perf_counter() - start


@dataclass(frozen=True)
class Content:
    """The bytes of one item's file, or why there are none."""

    index: int
    data: bytes
    sha256: str
    rejected: Rejected | None
    seconds: Mapping[str, float]


def read_item(numbered: tuple[int, Item]) -> Content:
    """Read a file once; digest and pixels come from the same bytes even if the file changes meanwhile."""
    index, item = numbered
    seconds: dict[str, float] = {}
    with clocked(seconds, "read"):
        try:
            data = read(item)
        except ImageError as error:
            return Content(index, b"", "", Rejected(item.name, error.reason, error.detail), seconds)
        return Content(index, data, hashlib.sha256(data).hexdigest(), None, seconds)


@dataclass(frozen=True)
class Task:
    """What has to be computed for one image."""

    index: int
    name: str
    data: bytes
    networks: Sequence[str]
    face: Face | None
    box: Face | None
    """The face whose box is cut out instead of the image's own."""
    find_face: bool
    """True when it is not known yet whether there is a face; `face` is None then."""


@dataclass(frozen=True)
class Seen:
    """What one image turned out to be."""

    index: int
    size: tuple[int, int] = (0, 0)
    notes: tuple[str, ...] = ()
    face: Face | None = None
    sought_face: bool = False
    networks: Sequence[str] = ()
    """Those that will have a result for it."""
    rejected: Rejected | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)


def prepare(
    task: Task, backbones: Mapping[str, Backbone], finder: FaceFinder | None
) -> tuple[Seen, dict[str, Tensor]]:
    """Decode once, find the face once, make each kind of crop once, and preprocess for every network.

    Returns:
        What the image is, and the inputs of the networks; the pixels themselves are gone already.
    """
    seconds: dict[str, float] = {}
    try:
        with clocked(seconds, "decode"):
            image, notes = decode_with_notes(task.data, task.name)
    except ImageError as error:
        rejected = Rejected(task.name, error.reason, error.detail)
        return Seen(task.index, rejected=rejected, seconds=seconds), {}
    face = task.face
    if task.find_face and finder is not None:
        with clocked(seconds, "faces"):
            face = finder.find(image)
    with clocked(seconds, "preprocess"):
        crops = {"image": image}
        inputs = {}
        for backbone in (backbones[name] for name in task.networks):
            kind = backbone.crop
            if kind not in crops:
                if face is None:
                    continue
                crops[kind] = crop(kind, image, (task.box or face) if kind in BOX_CROPS else face)
            inputs[backbone.name] = backbone.preprocess(crops[kind])
    size = (image.shape[1], image.shape[0])
    return Seen(task.index, size, notes, face, task.find_face, tuple(inputs), None, seconds), inputs
