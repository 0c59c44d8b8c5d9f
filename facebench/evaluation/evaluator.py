"""Evaluation inside a training loop: images are collected batch by batch, on one or several processes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from facebench.core.errors import FacebenchError, InputError
from facebench.core.progress import Progress, no_progress
from facebench.evaluation.config import EvaluationConfig
from facebench.evaluation.inputs import split_inputs
from facebench.evaluation.pipeline import run_evaluation
from facebench.evaluation.plan import make_plan
from facebench.evaluation.record import Run
from facebench.features.ranks import Ranks, is_distributed
from facebench.features.shares import SharedImage, Shares, failure_of, serve
from facebench.images.image_set import ImageSet, Item
from facebench.images.sources.memory import (
    ROOT,
    UNIT_RANGE,
    Labelled,
    MemoryImage,
    Range,
    content_set,
    images_in_memory,
    memory_set,
)


class Evaluator:
    """Collects generated images and evaluates them like `facebench.evaluate`.

    With `torch.distributed`, every process updates its own evaluator with its share of the images, and runs the
    networks on them. Features, faces and columns meet on the first process, pixels never; it computes the metrics and
    gives the record to every process. Images are sorted by their content, so the record does not depend on the number
    of processes or on the order of the updates.

    Args:
        protocol: what to measure.
        reference: real faces as for `facebench.evaluate`; None for no reference.
        value_range: range of the values of float images.
        keep_order: keep the order of the processes and updates, so that image i of two runs with one seed is a pair.
        timeout: seconds after which a process that does not answer counts as lost. It must exceed the difference
            between the slowest and the fastest process.
        options: further fields of `EvaluationConfig`, such as `suite="compact"`.

    Raises:
        InputError: an option is wrong.

    Example:
        >>> import numpy as np
        >>> evaluator = Evaluator(protocol="quality", reference="photographs")
        >>> evaluator.update(np.zeros((2, 64, 64, 3), np.uint8), identity=["a", "b"])
        >>> len(evaluator)
        2
        >>> run = evaluator.compute()  # doctest: +SKIP
        >>> evaluator.reset()
    """

    def __init__(
        self,
        protocol: str = "quality",
        reference: Any = None,
        *,
        value_range: Range = UNIT_RANGE,
        keep_order: bool = False,
        timeout: float = 3600.0,
        **options: Any,
    ) -> None:
        config = EvaluationConfig.build(generated="", protocol=protocol, **options)
        make_plan(config.protocol, config.suite, config.metrics)
        self._reference, self._value_range = reference, value_range
        self._keep_order, self._timeout = keep_order, timeout
        self._options = {"protocol": protocol, **options}
        self._images: list[Labelled] = []

    def __len__(self) -> int:
        """Number of images of this process."""
        return len(self._images)

    def update(self, images: Any, **columns: Sequence[Any]) -> None:
        """Add images.

        Args:
            images: array (n, h, w, 3), tensor (n, 3, h, w), or an iterable of images.
            columns: one value for each image, such as `identity=["a", "b"]`.

        Raises:
            InputError: another type, shape or range, or a column of another length. No image is added in that case.
        """
        added = images_in_memory(images, columns=columns, value_range=self._value_range)
        self._images += [(item.content.pixels, item.columns) for item in added.items]  # type: ignore[union-attr]

    def reset(self) -> None:
        """Remove all images of this process."""
        self._images = []

    def compute(self, progress: Progress = no_progress) -> Run:
        """Evaluate the images of all processes; they are kept until `reset`.

        Raises:
            InputError: no images were given, or an input is unusable; raised on every process.
            FacebenchError: another process failed or was lost.
        """
        if not is_distributed():
            return self._evaluate(memory_set(self._in_order(self._images)), progress)
        ranks = Ranks(self._timeout)
        own = [MemoryImage(pixels) for pixels, _ in self._images]
        try:
            if ranks.is_first:
                return self._lead(ranks, own, progress)
            ranks.send([_key_of(image) for image in self._images])
            run: Run = serve(ranks, own, Item(ROOT, ""))
            return run
        finally:
            ranks.close()

    def _lead(self, ranks: Ranks, own: Sequence[MemoryImage], progress: Progress) -> Run:
        """Evaluate the images of all processes on the first one, and give its record or error to all."""
        shares = Shares(ranks, own, self._timeout)

        def report(stage: str, done: int, total: int | None) -> None:
            shares.keep_waiting()
            progress(stage, done, total)

        try:
            keys = {0: [_key_of(image) for image in self._images], **ranks.receive_from_all()}
            run = self._evaluate(self._shared_set(shares, keys), report)
        except FacebenchError as error:
            shares.end(error=error)
            raise
        except Exception as error:
            shares.end(error=failure_of(0, error))
            raise
        shares.end(run)
        return run

    def _shared_set(self, shares: Shares, keys: Mapping[int, Sequence[_Key]]) -> ImageSet:
        """Return the set of all images, whose pixels stay in their processes."""
        found = [
            (key, SharedImage(shares, rank, index))
            for rank, own in keys.items()
            for index, key in enumerate(own)
        ]
        if not self._keep_order:
            found.sort(key=lambda pair: pair[0])
        return content_set([(image, dict(key[2])) for key, image in found])

    def _in_order(self, images: Sequence[Labelled]) -> Sequence[Labelled]:
        return images if self._keep_order else sorted(images, key=_key_of)

    def _evaluate(self, images: ImageSet, progress: Progress) -> Run:
        if not images.items:
            raise InputError("No images were added. Add them with update(images).")
        given = split_inputs(images, self._reference, n=None, columns=None, value_range=self._value_range)
        config = EvaluationConfig.build(**given.paths, **self._options)
        return run_evaluation(config, progress, given.sets)


_Key = tuple[str, tuple[int, ...], list[tuple[str, str]]]
"""Key by which images are sorted: digest of the pixels, shape and columns."""


def _key_of(image: Labelled) -> _Key:
    pixels, columns = image
    return hashlib.sha256(pixels.tobytes()).hexdigest(), pixels.shape, sorted(columns.items())
