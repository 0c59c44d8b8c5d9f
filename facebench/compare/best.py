"""The best of several runs by one metric: a run replaces it only if the difference is distinguishable from zero."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from facebench.compare.difference import difference, is_finite
from facebench.core.errors import InputError
from facebench.core.files import atomic_write_text
from facebench.core.json_files import read_json
from facebench.core.suggest import suggest
from facebench.evaluation.protocols import primary_metrics
from facebench.evaluation.record import MetricResult, Run
from facebench.evaluation.record_reading import load_run

FILE = "best.json"


class Best(BaseModel):
    """The best run so far.

    Attributes:
        run: name of the folder of its record.
        metric: the metric.
        value: its value, with the ends of its interval; None without an interval.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    run: str
    metric: str
    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Judged:
    """Outcome of one run.

    Attributes:
        best: the best run after this one; None if no run has a value.
        is_new: whether it is this run.
        reason: comparison with the best run before, in words.
    """

    best: Best | None
    is_new: bool
    reason: str


class BestRun:
    """Keeps the best of the runs below a folder in `best.json`.

    The first run with a value is the best one. A later run replaces it only if the 95 % interval of their difference
    excludes zero, in the better direction of the metric.

    Args:
        folder: folder of the records, one sub-folder for each run.
        metric: metric id; the primary metric of the protocol if None.

    Raises:
        InputError: `best.json` is damaged, or is of another metric.
    """

    def __init__(self, folder: Path, metric: str | None = None) -> None:
        self.folder, self.metric = folder, metric
        self.best = _read(folder / FILE)
        if self.best is not None and metric not in (None, self.best.metric):
            raise InputError(
                f"{folder / FILE} is the best run by {self.best.metric}, not by {metric}. Choose another folder."
            )

    def offer(self, name: str, run: Run) -> Judged:
        """Compare a run, whose record lies in the sub-folder `name`, with the best one.

        Raises:
            InputError: the run lacks the metric, or the record of the best run cannot be read.
        """
        metric, result = self._metric_of(run)
        if not is_finite(result):
            return Judged(self.best, False, f"{metric} has no value: {result.reason}")
        assert result.value is not None
        if self.best is None:
            return self._replace(name, metric, result, "the first run with a value")
        if result.better == "neither":
            raise InputError(f"{metric} has no better direction. Choose another metric.")
        found = difference(metric, run, load_run(self.folder / self.best.run))
        if found is None:
            return Judged(self.best, False, f"{metric} of {self.best.run} has no value")
        shown = f"{metric} differs from {self.best.run} by {found.value:+.4g} [{found.low:+.4g}, {found.high:+.4g}]"
        if found.has_interval and found.verdict(result.better) == "better":
            return self._replace(name, metric, result, shown)
        return Judged(self.best, False, shown)

    def _metric_of(self, run: Run) -> tuple[str, MetricResult]:
        known = {name.partition("@")[0]: name for name in reversed(run.metrics)}
        wanted = [self.metric] if self.metric else primary_metrics(run.protocol, run.suite)
        name = next((each for each in wanted if each in run.metrics or each in known), None)
        if name is None and self.metric is None:
            name = next((each for each, result in run.metrics.items() if result.better != "neither"), None)
        if name is None:
            raise InputError(
                f"The run has no metric '{self.metric}'. {suggest(str(self.metric), run.metrics)}"
            )
        name = name if name in run.metrics else known[name]
        return name, run.metrics[name]

    def _replace(self, name: str, metric: str, result: MetricResult, reason: str) -> Judged:
        assert result.value is not None
        self.best = Best(run=name, metric=metric, value=result.value, low=result.low, high=result.high)
        atomic_write_text(self.folder / FILE, json.dumps(self.best.model_dump(), indent=1) + "\n")
        return Judged(self.best, True, reason)


def _read(file: Path) -> Best | None:
    if not file.is_file():
        return None
    try:
        return Best.model_validate(read_json(file))
    except ValidationError as error:
        raise InputError(f"{file} is damaged: {error.errors()[0]['msg']}. Remove it.") from error
