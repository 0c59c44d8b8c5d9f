"""Evaluation inside a training loop: images are collected batch by batch, on one or several processes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from facebench.core.errors import FacebenchError, InputError
from facebench.core.progress import Progress, no_progress
from facebench.evaluation.config import EvaluationConfig
from facebench.evaluation.inputs import split_inputs
from facebench.evaluation.pipeline import run_evaluation
from facebench.evaluation.plan import make_plan
from facebench.evaluation.record import Run
from facebench.images.sources.memory import UNIT_RANGE, Labelled, Range, images_in_memory, memory_set


class Evaluator:
    """Collects generated images and evaluates them like `facebench.evaluate`.

    With `torch.distributed`, every process updates its own evaluator with its share of the images. `compute` gathers
    all images on the first process, evaluates them there, and returns the same record on every process. Images are
    sorted by their content, so the record does not depend on the number of processes or on the order of the updates.

    Args:
        protocol: what to measure.
        reference: real faces as for `facebench.evaluate`; None for no reference.
        value_range: range of the values of float images.
        keep_order: keep the order of the processes and updates, so that image i of two runs with one seed is a pair.
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
        **options: Any,
    ) -> None:
        config = EvaluationConfig.build(generated="", protocol=protocol, **options)
        make_plan(config.protocol, config.suite, config.metrics)
        self._reference, self._value_range = reference, value_range
        self._keep_order = keep_order
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
        """
        if not _is_distributed():
            return self._evaluate(self._images, progress)
        return self._evaluate_on_first(progress)

    def _evaluate(self, images: Sequence[Labelled], progress: Progress) -> Run:
        if not images:
            raise InputError("No images were added. Add them with update(images).")
        ordered = images if self._keep_order else sorted(images, key=_content_key)
        given = split_inputs(
            memory_set(ordered), self._reference, n=None, columns=None, value_range=self._value_range
        )
        config = EvaluationConfig.build(**given.paths, **self._options)
        return run_evaluation(config, progress, given.sets)

    def _evaluate_on_first(self, progress: Progress) -> Run:
        """Gather the images on the first process, and send its record or error to all."""
        import torch.distributed as dist

        first = dist.get_rank() == 0
        shares: list[Any] | None = [None] * dist.get_world_size() if first else None
        dist.gather_object(self._images, shares, dst=0)
        answer: list[Any] = [None]
        if shares is not None:
            try:
                answer = [self._evaluate([image for share in shares for image in share], progress)]
            except InputError as error:
                answer = [error]
            except Exception as error:
                # Without an answer, the other processes would wait until their time limit.
                dist.broadcast_object_list([FacebenchError(f"The first process failed: {error!r}")], src=0)
                raise
        dist.broadcast_object_list(answer, src=0)
        if isinstance(answer[0], BaseException):
            raise answer[0]
        run: Run = answer[0]
        return run


def _content_key(image: Labelled) -> tuple[str, tuple[int, ...], list[tuple[str, str]]]:
    """Return a key by which images are sorted: digest of the pixels, shape and columns."""
    pixels, columns = image
    return hashlib.sha256(pixels.tobytes()).hexdigest(), pixels.shape, sorted(columns.items())


def _is_distributed() -> bool:
    import torch.distributed as dist

    return bool(dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1)
