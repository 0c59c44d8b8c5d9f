"""Execution in one process: prepare images in threads and run networks in batches."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

from facebench.backbones.base import Backbone
from facebench.backbones.face_detector import FaceDetector
from facebench.features.engine.allocator import keep_freed_memory
from facebench.features.engine.preparation import ImageTask, PreparedImage, prefetch, prepare, timed

if TYPE_CHECKING:
    from facebench.features.engine.batches import Batcher, Rows

_BATCH_CPU = 8
_BATCH_CUDA = 128


@dataclass(frozen=True)
class BatchResults:
    """Results of one network: index of the image and its row of every array."""

    network: str
    results: Sequence[tuple[int, Rows]]
    seconds: Mapping[str, float] = field(default_factory=dict)
    warnings: Sequence[str] = ()


Event = PreparedImage | BatchResults


def default_batch_size(device: str) -> int:
    """Return the initial batch size; it is halved if the GPU runs out of memory.

    Example:
        >>> default_batch_size("cpu")
        8
    """
    return _BATCH_CUDA if device.startswith("cuda") else _BATCH_CPU


class Compute:
    """Execution engine of one process.

    Args:
        backbones: networks with unique names.
        finder: face detector; None if no task needs one.
        batch_size: of every network; None selects a default for the device.
        workers: threads for decoding and preprocessing.
    """

    def __init__(
        self, backbones: Sequence[Backbone], finder: FaceDetector | None, batch_size: int | None, workers: int
    ) -> None:
        self._backbones = {backbone.name: backbone for backbone in backbones}
        self._finder, self._workers, self._batch_size = finder, workers, batch_size
        self._batchers: dict[str, Batcher[int]] = {}

    def __call__(self, tasks: Iterable[ImageTask]) -> Generator[Event, None, None]:
        """Process all tasks; yield the facts of each image before its results."""
        tasks = iter(tasks)
        if (first := next(tasks, None)) is None:
            return
        self._prepare_networks()
        depth = max((batcher.size for batcher in self._batchers.values()), default=1) + 2 * self._workers
        function = partial(prepare, backbones=self._backbones, finder=self._finder)
        pool = ThreadPoolExecutor(self._workers)
        try:
            for image, inputs in prefetch(pool, function, chain([first], tasks), depth):
                yield image
                for name, tensor in inputs.items():
                    yield from self._embed(name, partial(self._batchers[name].add, image.index, tensor))
            for name, batcher in self._batchers.items():
                yield from self._embed(name, batcher.flush)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _prepare_networks(self) -> None:
        """Collect batches for every network. Known results need no network, so torch is imported here."""
        from facebench.features.engine import fused_cpu
        from facebench.features.engine.batches import Batcher

        if any(backbone.device.type == "cpu" for backbone in self._backbones.values()):
            keep_freed_memory()
        if self._finder is not None and self._finder.runs_modules:
            for backbone in self._backbones.values():
                fused_cpu.trace(backbone)
        self._batchers = {
            name: Batcher(backbone, self._batch_size or default_batch_size(backbone.device.type))
            for name, backbone in self._backbones.items()
        }

    def _embed(self, name: str, run: Callable[[], list[tuple[int, Rows]]]) -> Iterator[BatchResults]:
        seconds: dict[str, float] = {}
        with timed(seconds, f"embed {name}"):
            results = run()
        if results:
            batcher = self._batchers[name]
            warnings, batcher.warnings = batcher.warnings, []
            yield BatchResults(name, results, seconds, warnings)
