"""One model of a leaderboard table, measured or published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from facebench.evaluation.protocols import TableLayout
from facebench.evaluation.record import MetricResult, Run


@dataclass(frozen=True)
class Row:
    """One model of a table, measured or published.

    Attributes:
        name: of the model.
        tags: of the run.
        metrics: results by metric id.
        published: whether the numbers come from a publication.
        history: results of earlier runs with their dates, oldest first; the last entry is this row.
        runs: runs of the model, one for each training seed; the row shows their mean. Empty for published rows.
    """

    name: str
    tags: Mapping[str, str]
    metrics: Mapping[str, MetricResult]
    published: bool = False
    history: Sequence[tuple[str, Mapping[str, MetricResult]]] = ()
    runs: Sequence[Run] = ()

    def past_values(self, metric: str) -> tuple[tuple[str, float], ...]:
        """Return the values of a metric over time."""
        values = ((date, results[metric].value) for date, results in self.history if metric in results)
        return tuple((date, value) for date, value in values if value is not None)

    def block(self, layout: TableLayout) -> tuple[str, ...]:
        """Return the tags that this row shares with the other rows of its block."""
        return tuple(self.tags.get(tag, "–") for tag in layout.blocks)

    def runs_with(self, metric: str) -> list[Run]:
        """Return the training runs that have a value of a metric."""
        return [run for run in self.runs if metric in run.metrics and run.metrics[metric].value is not None]

    def value(self, metric: str) -> float | None:
        """Return the value of a metric, the mean over the training runs; None without a value."""
        if self.runs:
            values = [run.metrics[metric].value for run in self.runs_with(metric)]
            return float(np.mean(np.array(values, dtype=np.float64))) if values else None
        return self.metrics[metric].value if metric in self.metrics else None
