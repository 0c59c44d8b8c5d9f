"""One run against another on the page: every difference with its interval as a bar around zero."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from facebench.compare.board import interval_text
from facebench.compare.difference import Change, change
from facebench.core.tables import Cell
from facebench.evaluation.record import MetricResult, Run


@dataclass(frozen=True)
class Comparison:
    """One run against the first."""

    baseline: str
    run: str
    rows: list[ComparedRow]
    methods: list[str]


@dataclass(frozen=True)
class ComparedRow:
    """One metric of a comparison, with the geometry of its bar in percent of its width."""

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
    """Every metric that both runs have a value of: run minus baseline."""
    moved = {metric: change(metric, run, baseline) for metric in baseline.metrics if metric in run.metrics}
    rows = [
        _compared(metric, run.metrics[metric], baseline.metrics[metric], difference, text)
        for metric, difference in moved.items()
        if difference is not None
    ]
    return Comparison(baseline.name, run.name, rows, _methods(moved, text))


def _methods(moved: Mapping[str, Change | None], text: dict[str, Any]) -> list[str]:
    found: dict[str, list[str]] = {}
    for metric, difference in moved.items():
        if difference is not None:
            found.setdefault(_method(difference, text), []).append(metric)
    return [text["for_metrics"].format(reason=how, metrics=", ".join(ids)) for how, ids in found.items()]


def _method(moved: Change, text: dict[str, Any]) -> str:
    """How the interval was made, in the page's language; as the gate says it where there is no translation."""
    count = re.search(r"\d+", moved.method)
    known = moved.method.replace(count[0], "{count}") if count else moved.method
    said = str(text["change_methods"].get(known, moved.method))
    return said.replace("{count}", count[0] if count else "")


def _compared(
    metric: str, new: MetricResult, old: MetricResult, moved: Change, text: dict[str, Any]
) -> ComparedRow:
    reach = 1.08 * max(abs(moved.low), abs(moved.high), abs(moved.value)) or 1.0
    left, right, dot = (50 + 50 * end / reach for end in (moved.low, moved.high, moved.value))
    ends = f"[{moved.low:+.{new.decimals}f}, {moved.high:+.{new.decimals}f}]"
    return ComparedRow(
        metric=f"{metric} {new.arrow}".strip(),
        title=new.title,
        baseline=_value(old),
        run=_value(new),
        change=Cell(f"{moved.value:+.{new.decimals}f}", moved.value, small=ends, title=_method(moved, text)),
        verdict=moved.verdict(new.better),
        left=round(left, 2),
        width=round(right - left, 2),
        dot=round(dot, 2),
    )


def _value(result: MetricResult) -> Cell:
    dagger = "†" if result.note else ""
    text = f"{result.value:.{result.decimals}f}{dagger}"
    return Cell(text, result.value, small=interval_text(result), title=result.note)
