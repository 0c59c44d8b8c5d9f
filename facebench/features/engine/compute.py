"""From images to results: decode, crop and preprocess in threads, run the networks in batches."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from facebench.backbones.base import Backbone
from facebench.backbones.face_detection import FaceFinder
from facebench.features.engine.batches import Batcher, Rows
from facebench.features.engine.preparation import Seen, Task, ahead, clocked, prepare

_BATCH_CPU = 8
_BATCH_CUDA = 128


@dataclass(frozen=True)
class Batch:
    """Results of one network: for each image its number and its row of every array."""

    network: str
    results: Sequence[tuple[int, Rows]]
    seconds: Mapping[str, float] = field(default_factory=dict)
    warnings: Sequence[str] = ()


Event = Seen | Batch


def default_batch(device: str) -> int:
    """Inputs in a batch to begin with; a GPU whose memory is full halves it.

    Example:
        >>> default_batch("cpu")
        8
    """
    return _BATCH_CUDA if device.startswith("cuda") else _BATCH_CPU


class Compute:
    """The networks of one process, and the threads that feed them.

    Args:
        backbones: the networks, with different names.
        finder: finds faces; None when no task asks for it.
        batch_size: of every network; by default what suits its device.
        workers: threads that decode and preprocess.
    """

    def __init__(
        self, backbones: Sequence[Backbone], finder: FaceFinder | None, batch_size: int | None, workers: int
    ) -> None:
        self._backbones = {backbone.name: backbone for backbone in backbones}
        self._finder, self._workers = finder, workers
        self._batchers = {
            backbone.name: Batcher[int](backbone, batch_size or default_batch(backbone.device.type))
            for backbone in backbones
        }

    def __call__(self, tasks: Iterable[Task]) -> Generator[Event, None, None]:
        """Do the work of all tasks: first what each image is, then its results, batch by batch."""
        depth = max((batcher.size for batcher in self._batchers.values()), default=1) + 2 * self._workers
        work = partial(prepare, backbones=self._backbones, finder=self._finder)
        pool = ThreadPoolExecutor(self._workers)
        try:
            for seen, inputs in ahead(pool, work, tasks, depth):
                yield seen
                for name, tensor in inputs.items():
                    yield from self._embed(name, partial(self._batchers[name].add, seen.index, tensor))
            for name, batcher in self._batchers.items():
                yield from self._embed(name, batcher.flush)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _embed(self, name: str, run: Callable[[], list[tuple[int, Rows]]]) -> Iterator[Batch]:
        seconds: dict[str, float] = {}
        with clocked(seconds, f"embed {name}"):
            results = run()
        if results:
            batcher = self._batchers[name]
            warnings, batcher.warnings = batcher.warnings, []
            yield Batch(name, results, seconds, warnings)
