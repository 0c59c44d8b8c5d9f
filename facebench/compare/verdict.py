"""Verdict on a run in one line: on how many headline metrics it is better or worse than a baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from facebench.compare.difference import LEVEL, difference
from facebench.evaluation.breakdown import holm
from facebench.evaluation.record import Run
from facebench.evaluation.run_table import headline_metrics


@dataclass(frozen=True)
class Verdict:
    """Headline metrics by the direction in which a run differs from its baseline.

    Attributes:
        baseline: name of the baseline.
        better: metrics in which the run is better.
        worse: metrics in which the run is worse.
        same: metrics without a clear difference.

    Example:
        >>> str(Verdict("old", ["fd_lite0"], [], ["kd_lite0"]))
        'better than old on 1 of 2 metrics, worse on none'
    """

    baseline: str
    better: Sequence[str]
    worse: Sequence[str]
    same: Sequence[str]

    @property
    def total(self) -> int:
        """Number of metrics that are compared."""
        return len(self.better) + len(self.worse) + len(self.same)

    def __str__(self) -> str:
        """Return the sentence."""
        if self.total == 0:
            return f"no metric with an interval to compare with {self.baseline}"
        metrics = "1 metric" if self.total == 1 else f"{self.total} metrics"
        if not self.better and not self.worse:
            return f"no clear difference from {self.baseline} on {metrics}"
        return f"better than {self.baseline} on {_count(self.better)} of {metrics}, worse on {_count(self.worse)}"


def verdict(run: Run, baseline: Run) -> Verdict:
    """Compare the headline metrics that have a better direction and an interval in both runs.

    The two-sided p values of all these metrics are corrected together at a level of 5 % (Holm 1979).
    """
    shared = [metric for metric in run.metrics if metric in baseline.metrics]
    compared = [
        (metric, change, run.metrics[metric].better)
        for metric in headline_metrics(run, shared)
        if run.metrics[metric].better != "neither"
        and (change := difference(metric, run, baseline)) is not None
        and change.has_interval
    ]
    p_values = holm([change.p_worse("neither") for _, change, _ in compared])
    kinds: dict[str, list[str]] = {"better": [], "worse": [], "same": []}
    for (metric, change, better), p in zip(compared, p_values, strict=True):
        kind = "same" if p >= 1 - LEVEL else "worse" if change.worsening(better) > 0 else "better"
        kinds[kind].append(metric)
    return Verdict(baseline.name, **kinds)


def _count(metrics: Sequence[str]) -> str:
    return str(len(metrics)) if metrics else "none"
