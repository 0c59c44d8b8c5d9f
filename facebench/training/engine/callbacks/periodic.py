"""Evaluate a generator every N steps of a training loop, with a fixed seed, averaged weights and a time budget."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from facebench.compare.best import BestRun, Judged
from facebench.core.errors import FacebenchError, InputError
from facebench.evaluation.evaluator import Evaluator
from facebench.evaluation.protocols import find_protocol
from facebench.evaluation.record import Run
from facebench.training.engine.callbacks.processes import from_first, rank_and_count, together

Sampler = Callable[[Any, int], Any]
"""Function of the model and a number of images that returns images as `facebench.Evaluator.update` takes them."""
PREFIX = "facebench/"


@dataclass(frozen=True)
class Schedule:
    """When a model is evaluated.

    Attributes:
        every: steps between two evaluations.
        time_budget: largest share of the elapsed time that evaluations may take. Due evaluations are skipped while
            one more, as long as the last one, would exceed it. None evaluates whenever it is due.
        seed: seed of the random numbers of the sampler. The state of all generators is restored afterwards.
    """

    every: int
    time_budget: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the values."""
        if self.every < 1:
            raise InputError(f"every is {self.every}; at least 1 step is needed.")
        if self.time_budget is not None and not 0 < self.time_budget <= 1:
            raise InputError(f"time_budget is {self.time_budget:g}; a share above 0 and at most 1 is needed.")


@dataclass(frozen=True)
class Evaluated:
    """An evaluation during training.

    Attributes:
        step: number of steps done.
        run: the record.
        folder: folder of the record.
        judged: whether it is the best one, and why.
        numbers: headline metrics with the ends of their intervals, by the names for a logger.
        seconds: duration.
    """

    step: int
    run: Run
    folder: Path
    judged: Judged
    numbers: dict[str, float]
    seconds: float

    @property
    def is_best(self) -> bool:
        """Whether it is better than every earlier evaluation by more than chance."""
        return self.judged.is_new


@dataclass
class PeriodicEvaluation:
    """Evaluates a model every N steps; the callbacks of all training libraries call it.

    `evaluate(step, model)` samples `n` images with the seed of the schedule, writes their record to
    `out/step-00001000`, and compares it with the best one. With `torch.distributed`, every process calls it and
    samples its share. A failed evaluation is reported by `on_message` and does not stop the training.

    Attributes:
        sample: function of the model and a number k that returns k images.
        schedule: when to evaluate.
        n: number of images.
        out: folder of the records and of `best.json`.
        options: options of `facebench.Evaluator`, such as protocol, reference and suite.
        metric: metric that selects the best checkpoint; the primary metric of the protocol if None.
        ema: averaged weights: a module such as `torch.optim.swa_utils.AveragedModel`, which is evaluated in place of
            the model, or an object with `store`, `copy_to` and `restore` such as `diffusers.training_utils.EMAModel`.
        batch: images of one call of `sample`.
        on_best: called with the evaluation when it is the best one, such as to save a checkpoint.
        on_message: called with messages for the user.

    Raises:
        InputError: an option is wrong.

    Example:
        >>> evaluation = PeriodicEvaluation(
        ...     lambda model, k: model.sample(k), Schedule(1000), n=5000, out=Path("evaluations"),
        ...     options={"reference": "ffhq256.npz", "suite": "compact"})
        >>> evaluation.is_due(1000), evaluation.is_due(1001)
        (True, False)
    """

    sample: Sampler
    schedule: Schedule
    n: int
    out: Path
    options: dict[str, Any] = field(default_factory=dict)
    metric: str | None = None
    ema: Any = None
    batch: int = 64
    on_best: Callable[[Evaluated], None] = lambda evaluated: None
    on_message: Callable[[str], None] = print

    def __post_init__(self) -> None:
        """Check the options before training starts."""
        if self.n < 2:
            raise InputError(f"n is {self.n}; at least 2 images are needed.")
        self.out = Path(self.out)
        self._evaluator = Evaluator(keep_order=True, **self.options)
        self._best = BestRun(self.out, self.metric)
        self._started = time.monotonic()
        self._spent = self._last = 0.0

    def is_due(self, step: int) -> bool:
        """Whether the schedule asks for an evaluation after this step."""
        return step > 0 and step % self.schedule.every == 0

    def evaluate(self, step: int, model: Any) -> Evaluated | None:
        """Evaluate the model if it is due and within the time budget; return None otherwise, or if it failed."""
        if not self.is_due(step) or not from_first(self._is_affordable):
            return None
        start = time.monotonic()
        try:
            return self._evaluate(step, model, start)
        except FacebenchError as error:
            self.on_message(f"no evaluation at step {step}: {error}")
            return None
        finally:
            self._evaluator.reset()
            self._last = time.monotonic() - start
            self._spent += self._last

    def _is_affordable(self) -> bool:
        budget = self.schedule.time_budget
        elapsed = time.monotonic() - self._started
        return budget is None or self._last == 0 or self._spent + self._last <= budget * elapsed

    def _evaluate(self, step: int, model: Any, start: float) -> Evaluated:
        with averaged(model, self.ema) as network, _evaluating(network):
            together(lambda: self._sample(network))
        run = self._evaluator.compute()
        folder = self.out / f"step-{step:08d}"
        judged = from_first(lambda: self._judge(run, folder))
        numbers = numbers_of(run, self.metric)
        found = Evaluated(step, run, folder, judged, numbers, time.monotonic() - start)
        if found.is_best:
            self.on_best(found)
        return found

    def _sample(self, network: Any) -> None:
        """Sample the share of this process."""
        rank, ranks = rank_and_count()
        share = len(range(rank, self.n, ranks))
        with seeded(self.schedule.seed + rank):
            while (done := len(self._evaluator)) < share:
                self._evaluator.update(self._images(network, min(self.batch, share - done)))
                if len(self._evaluator) == done:
                    raise InputError(f"the sampler returned no images after {done} of {share}")

    def _images(self, network: Any, count: int) -> Any:
        try:
            return self.sample(network, count)
        except FacebenchError:
            raise
        except Exception as error:
            message = " ".join(str(error).split())[:200]
            raise InputError(f"the sampler failed with {type(error).__name__}: {message}") from error

    def _judge(self, run: Run, folder: Path) -> Judged:
        run.save(folder)
        return self._best.offer(folder.name, run)


def numbers_of(run: Run, metric: str | None = None) -> dict[str, float]:
    """Return headline metrics, and one further metric, with the ends of their intervals, for a logger."""
    valued = [name for name, result in run.metrics.items() if result.value is not None]
    chosen = dict.fromkeys(
        [*find_protocol(run.protocol).headline_of(valued), *([metric] if metric in valued else [])]
    )
    numbers: dict[str, float] = {}
    for name in chosen or valued:
        result = run.metrics[str(name)]
        ends = {"": result.value, "_low": result.low, "_high": result.high}
        numbers |= {f"{PREFIX}{name}{end}": value for end, value in ends.items() if value is not None}
    return numbers


@contextmanager
def averaged(model: Any, ema: Any) -> Iterator[Any]:
    """Yield the model with averaged weights; the trained weights are put back afterwards.

    Raises:
        InputError: the object is neither a module nor has `store`, `copy_to` and `restore`.
    """
    if ema is None:
        yield model
    elif isinstance(ema, nn.Module):
        yield getattr(ema, "module", ema)
    elif all(hasattr(ema, name) for name in ("store", "copy_to", "restore")):
        parameters = list(model.parameters())
        ema.store(parameters)
        ema.copy_to(parameters)
        try:
            yield model
        finally:
            ema.restore(parameters)
    else:
        raise InputError(
            f"ema is an object of the type {type(ema).__name__}; a module, or an object with store, copy_to and "
            "restore is needed."
        )


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed the generators of Python, NumPy and torch, and restore their state afterwards."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - samplers may use the global state
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        random.seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002
        torch.manual_seed(seed)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002


@contextmanager
def _evaluating(model: Any) -> Iterator[None]:
    """Put a module into evaluation mode without gradients, and restore its mode afterwards."""
    was_training = getattr(model, "training", None)
    if was_training:
        model.eval()
    guard: AbstractContextManager[Any] = torch.no_grad() if isinstance(model, nn.Module) else nullcontext()
    try:
        with guard:
            yield
    finally:
        if was_training:
            model.train()
