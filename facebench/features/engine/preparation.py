"""Prepare network inputs in worker threads: read, decode, detect the face, crop, preprocess."""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from facebench.backbones.base import Backbone
from facebench.backbones.face_detection import Face, crop
from facebench.backbones.face_detector import FaceDetector
from facebench.images.image_set import Image, ImageError, Item, Rejected, decode_with_notes, read

if TYPE_CHECKING:
    from torch import Tensor

BOX_CROPS = ("face224", "face256")
"""Crops around the face box. The remaining crops, face112 and face150, depend on the landmarks."""

Argument = TypeVar("Argument")
Result = TypeVar("Result")


def prefetch(
    pool: ThreadPoolExecutor,
    function: Callable[[Argument], Result],
    arguments: Iterable[Argument],
    depth: int,
) -> Iterator[Result]:
    """Yield results of `function` in the order of the arguments, with at most `depth` calls pending."""
    pending: deque[Future[Result]] = deque()
    for argument in arguments:
        pending.append(pool.submit(function, argument))
        if len(pending) >= depth:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()


@contextmanager
def timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    """Add the elapsed time of the block to `seconds[stage]`."""
    start = time.perf_counter()
    try:
        yield
    finally:
        seconds[stage] = seconds.get(stage, 0.0) + time.perf_counter() - start


@dataclass(frozen=True)
class FileContent:
    """Bytes of the file of an item, or the reason why it could not be read."""

    index: int
    data: bytes
    sha256: str
    rejected: Rejected | None
    seconds: Mapping[str, float]


def read_item(indexed: tuple[int, Item]) -> FileContent:
    """Read a file once, so that digest and pixels come from the same bytes even if the file changes."""
    index, item = indexed
    seconds: dict[str, float] = {}
    with timed(seconds, "read"):
        try:
            data = read(item)
        except ImageError as error:
            return FileContent(index, b"", "", Rejected(item.name, error.reason, error.detail), seconds)
        return FileContent(index, data, hashlib.sha256(data).hexdigest(), None, seconds)


@dataclass(frozen=True)
class ImageTask:
    """Work to be done for one image."""

    index: int
    name: str
    data: bytes
    networks: Sequence[str]
    face: Face | None
    box: Face | None
    """Face that determines box crops in place of the detected face."""
    find_face: bool
    """Whether the face has to be detected; `face` is None in that case."""


@dataclass(frozen=True)
class PreparedImage:
    """Facts about one image after decoding and face detection."""

    index: int
    size: tuple[int, int] = (0, 0)
    notes: tuple[str, ...] = ()
    face: Face | None = None
    detected: bool = False
    """Whether face detection ran."""
    networks: Sequence[str] = ()
    """Networks that will produce a result."""
    rejected: Rejected | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)


def prepare(
    task: ImageTask, backbones: Mapping[str, Backbone], finder: FaceDetector | None
) -> tuple[PreparedImage, dict[str, Tensor]]:
    """Decode once, detect the face once, make each kind of crop once, and preprocess for every network.

    Returns:
        Facts about the image, and the input of each network. The decoded pixels are released.
    """
    seconds: dict[str, float] = {}
    try:
        with timed(seconds, "decode"):
            image, notes = decode_with_notes(task.data, task.name)
    except ImageError as error:
        rejected = Rejected(task.name, error.reason, error.detail)
        return PreparedImage(task.index, rejected=rejected, seconds=seconds), {}
    face = task.face
    if task.find_face and finder is not None:
        with timed(seconds, "faces"):
            face = finder.find(image)
    with timed(seconds, "preprocess"):
        inputs = _network_inputs([backbones[name] for name in task.networks], image, face, task.box)
    size = (image.shape[1], image.shape[0])
    prepared = PreparedImage(
        task.index, size, notes, face, detected=task.find_face, networks=tuple(inputs), seconds=seconds
    )
    return prepared, inputs


def _network_inputs(
    backbones: Sequence[Backbone], image: Image, face: Face | None, box: Face | None
) -> dict[str, Tensor]:
    """Crop and preprocess for each network; networks that need a face are skipped if there is none."""
    crops = {"image": image}
    inputs = {}
    for backbone in backbones:
        kind = backbone.crop
        if kind not in crops:
            if face is None:
                continue
            crops[kind] = crop(kind, image, (box or face) if kind in BOX_CROPS else face)
        inputs[backbone.name] = backbone.preprocess(crops[kind])
    return inputs
