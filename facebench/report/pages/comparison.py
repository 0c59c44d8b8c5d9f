"""Comparison of two runs on the report page: every difference with its interval as a bar around zero."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from facebench.compare.difference import Difference, difference
from facebench.compare.metric_names import metric_name
from facebench.core.tables import Cell
from facebench.evaluation.record import MetricResult, Run
from facebench.evaluation.run_table import interval_text


@dataclass(frozen=True)
class Comparison:
    """Differences of a run from the baseline, which is the first run of the page.

    Attributes:
        baseline: name of the baseline.
        run: name of the run.
        rows: one row per metric.
        methods: sentences on the methods of the intervals.
    """

    baseline: str
    run: str
    rows: list[ComparisonRow]
    methods: list[str]


@dataclass(frozen=True)
class ComparisonRow:
    """Difference in one metric; `left`, `width` and `dot` describe the bar in percent of its width."""

    metric: str
    title: str
    baseline: Cell
    run: Cell
    change: Cell
    verdict: str
    left: float
    width: float
    dot: float


def comparison(baseline: Run, run: Run, text: dict[str, Any]) -> Comparison:
    """Compare every metric that has a value in both runs: run minus baseline."""
    computed = {
        metric: difference(metric, run, baseline) for metric in baseline.metrics if metric in run.metrics
    }
    differences = {metric: change for metric, change in computed.items() if change is not None}
    rows = [
        _row(metric, run.metrics[metric], baseline.metrics[metric], change, text)
        for metric, change in differences.items()
    ]
    return Comparison(baseline.name, run.name, rows, _methods(differences, text))


def _methods(differences: Mapping[str, Difference], text: dict[str, Any]) -> list[str]:
    metrics: dict[str, list[str]] = {}
    for metric, change in differences.items():
        metrics.setdefault(_method(change, text), []).append(metric)
    return [
        text["for_metrics"].format(reason=method, metrics=", ".join(ids)) for method, ids in metrics.items()
    ]


def _method(change: Difference, text: dict[str, Any]) -> str:
    """Method of the interval in the language of the page; unchanged if there is no translation."""
    count = re.search(r"\d+", change.method)
    pattern = change.method.replace(count[0], "{count}") if count else change.method
    translated = str(text["change_methods"].get(pattern, change.method))
    return translated.replace("{count}", count[0] if count else "")


def _row(
    metric: str, new: MetricResult, old: MetricResult, change: Difference, text: dict[str, Any]
) -> ComparisonRow:
    extent = 1.08 * max(abs(change.low), abs(change.high), abs(change.value)) or 1.0
    left, right, dot = (50 + 50 * end / extent for end in (change.low, change.high, change.value))
    interval = f"[{change.low:+.{new.decimals}f}, {change.high:+.{new.decimals}f}]"
    value = f"{change.value:+.{new.decimals}f}"
    return ComparisonRow(
        metric=f"{metric_name(metric)} {new.arrow}".strip(),
        title=f"{metric}: {new.title}",
        baseline=_value(old),
        run=_value(new),
        change=Cell(value, change.value, small=interval, title=_method(change, text)),
        verdict=change.verdict(new.better),
        left=round(left, 2),
        width=round(right - left, 2),
        dot=round(dot, 2),
    )


def _value(result: MetricResult) -> Cell:
    dagger = "†" if result.note else ""
    text = f"{result.value:.{result.decimals}f}{dagger}"
    return Cell(text, result.value, small=interval_text(result), title=result.note)
