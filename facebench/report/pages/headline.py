"""Headline numbers of a page: each with its interval on a scale, and the value of real faces where it is known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from facebench.compare.board import Board
from facebench.compare.metric_names import metric_name
from facebench.evaluation.cards import load_cards
from facebench.evaluation.record import MetricResult
from facebench.evaluation.run_table import headline_metrics, interval_text, value_text

MAX_TILES = 8


@dataclass(frozen=True)
class Bar:
    """Value of one run on the scale of its tile, in percent of the width.

    Attributes:
        run: index of the run.
        text: the value.
        interval: its interval as text.
        left: lower end of the interval.
        width: length of the interval.
        dot: the value.
    """

    run: int
    text: str
    interval: str
    left: float
    width: float
    dot: float


@dataclass(frozen=True)
class Tile:
    """One headline metric.

    Attributes:
        metric: id.
        name: name of the literature.
        title: what it measures.
        better: "higher" or "lower" in the language of the page; empty if neither is better.
        low: text at the left end of the scale.
        high: text at the right end of the scale.
        bars: one for each run with a value.
        real: value of real faces as text; empty where it is unknown.
        real_dot: its place on the scale; None where it is unknown.
    """

    metric: str
    name: str
    title: str
    better: str
    low: str
    high: str
    bars: list[Bar]
    real: str
    real_dot: float | None


def headline_tiles(board: Board, text: dict[str, Any]) -> list[Tile]:
    """Return the headline metrics of the protocol that have a value in at least one run."""
    run = board.runs[0]
    return [_tile(metric, board, text) for metric in headline_metrics(run, board.metrics)[:MAX_TILES]]


def _tile(metric: str, board: Board, text: dict[str, Any]) -> Tile:
    results = [(index, run.metrics[metric]) for index, run in enumerate(board.runs) if metric in run.metrics]
    valued = [(index, result) for index, result in results if result.value is not None]
    first = valued[0][1]
    real = first.real
    low, high = _scale(metric, [result for _, result in valued], None if real is None else real.value)
    return Tile(
        metric=metric,
        name=metric_name(metric),
        title=first.title,
        better="" if first.better == "neither" else str(text["better"][first.better]),
        low=f"{low:.{_decimals(low, first)}f}",
        high=f"{high:.{_decimals(high, first)}f}",
        bars=[_bar(index, result, low, high) for index, result in valued],
        real="" if real is None else f"{real.value:.{first.decimals}f}",
        real_dot=None if real is None else _place(real.value, low, high),
    )


def _scale(metric: str, results: Sequence[MetricResult], real: float | None) -> tuple[float, float]:
    """Ends of the scale: the range of the metric where it is bounded, else zero to the largest interval end."""
    card = load_cards().get(metric.partition("@")[0])
    low, high = (None, None) if card is None else card.range
    ends = [end for result in results for end in (result.value, result.low, result.high) if end is not None]
    ends += [] if real is None else [real]
    smallest, largest = min(ends), max(ends)
    low = min(0.0, smallest) if low is None else float(low)
    if high is not None:
        return low, float(high)
    return low, _round_up(max(largest, low + 1e-9))


def _round_up(value: float) -> float:
    """Round up to 1, 2, 2.5 or 5 times a power of ten."""
    if value <= 0:
        return 0.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 2.5, 5, 10) if step * power >= value * (1 - 1e-12))


def _decimals(end: float, result: MetricResult) -> int:
    return 0 if end == round(end) else result.decimals


def _bar(index: int, result: MetricResult, low: float, high: float) -> Bar:
    assert result.value is not None
    left, right = (
        _place(result.value if end is None else end, low, high) for end in (result.low, result.high)
    )
    return Bar(
        index,
        value_text(result),
        interval_text(result),
        left,
        round(right - left, 2),
        _place(result.value, low, high),
    )


def _place(value: float, low: float, high: float) -> float:
    span = high - low
    return round(100 * min(1.0, max(0.0, (value - low) / span)), 2) if span > 0 else 0.0
