"""The difference between two runs in one metric, and the interval of that difference."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from facebench import cards, metrics
from facebench.leaderboard import SAME_SIZE
from facebench.metrics.arrays import Floats
from facebench.metrics.resampling import numbers
from facebench.protocols import DETECTOR
from facebench.results import MetricResult, Run

RESAMPLES = 1000

Better = Literal["higher", "lower", "neither"]


@dataclass(frozen=True)
class Change:
    """Run minus baseline, in the metric's unit, with a 95 % interval.

    Attributes:
        value: the difference.
        low: lower end of its interval.
        high: upper end.
        method: how the interval was made.
    """

    value: float
    low: float
    high: float
    method: str

    def worsening(self, better: Better) -> float:
        """How far the change goes to the worse; either way where neither direction is better."""
        return {"higher": -self.value, "lower": self.value, "neither": abs(self.value)}[better]

    def verdict(self, better: Better) -> Literal["better", "worse", "changed", "same"]:
        """What the interval of the difference says; "same" when it holds zero."""
        if self.low <= 0 <= self.high:
            return "same"
        if better == "neither":
            return "changed"
        return "better" if (self.value > 0) == (better == "higher") else "worse"


def change(metric: str, run: Run, baseline: Run) -> Change | None:
    """The change of a metric from the baseline to the run; None when one of them has no value.

    The interval comes from a paired bootstrap where both per-image tables hold the same quantity of the same
    items: images are drawn with replacement, the same ones on both sides. Else both intervals count as
    independent, with half-width sqrt(hw₁² + hw₂²); a number without an interval counts as exact.
    """
    new, old = run.metrics.get(metric), baseline.metrics.get(metric)
    if new is None or old is None or new.value is None or old.value is None:
        return None
    value = new.value - old.value
    paired = _paired(metric, run, baseline)
    if paired is not None:
        return Change(value, *paired)
    reach = math.hypot(_half_width(new), _half_width(old))
    method = "independent intervals" if reach or new.low is not None else "no interval"
    return Change(value, value - reach, value + reach, method)


def _half_width(result: MetricResult) -> float:
    return 0.0 if result.low is None or result.high is None else (result.high - result.low) / 2


@dataclass(frozen=True)
class _Quantity:
    """What a metric averages over images."""

    rows: pd.DataFrame
    """The arguments of the function, by image name; incomplete rows are not used."""
    function: Callable[[Floats], float]
    """From complete rows (n, arguments) to the metric."""

    def value(self) -> float:
        rows = self.rows.dropna().to_numpy(dtype=np.float64)
        return self.function(rows) if len(rows) else math.nan


def _paired(metric: str, run: Run, baseline: Run) -> tuple[float, float, str] | None:
    """Ends and method of the paired interval; None where pairing is not possible."""
    new, old = _quantity(metric, run), _quantity(metric, baseline)
    if new is None or old is None:
        return None
    items = new.rows.index.union(old.rows.index)
    shared = new.rows.index.intersection(old.rows.index)
    if len(shared) < (1 - SAME_SIZE) * len(items):
        return None
    sides = [(side.rows.reindex(items).to_numpy(dtype=np.float64), side.function) for side in (new, old)]
    rng = np.random.default_rng(run.seed)
    draws = []
    for _ in range(RESAMPLES):
        drawn = rng.integers(len(items), size=len(items))
        values = [_on(rows[drawn], function) for rows, function in sides]
        draws.append(values[0] - values[1])
    low, high = np.nanquantile(draws, [0.025, 0.975])
    return float(low), float(high), f"paired bootstrap over {len(items)} images"


def _on(rows: Floats, function: Callable[[Floats], float]) -> float:
    complete = rows[~np.isnan(rows).any(axis=1)]
    return function(complete) if len(complete) else math.nan


def _quantity(metric: str, run: Run) -> _Quantity | None:
    """What the metric averages, from the per-image table; None where the table does not hold it."""
    card = cards.cards().get(metric)
    table = run.per_image
    if card is None or table is None or card.interval != "bootstrap_images":
        return None
    generated = table[table["role"] == "generated"].set_index("image")
    rows = _arguments(card, generated)
    if rows is None or not rows.index.is_unique:
        return None
    bound = functools.partial(getattr(metrics, card.compute), **card.params)
    target_first = next(iter(inspect.signature(bound).parameters)) == "target"

    def function(values: Floats) -> float:
        columns = list(values.T)
        found = numbers(bound(*(reversed(columns) if target_first else columns)))
        return found[card.field or ("value" if "value" in found else "mean")]

    quantity = _Quantity(rows, function)
    recorded = run.metrics[metric].value
    # A table that does not give the recorded value belongs to another run, and says nothing about this one.
    same = recorded is not None and math.isclose(quantity.value(), recorded, rel_tol=1e-6, abs_tol=1e-9)
    return quantity if same else None


def _arguments(card: cards.Card, generated: pd.DataFrame) -> pd.DataFrame | None:
    """The columns that the card's function is called with, or None when they are not in the table."""
    if not isinstance(card.reads.array, str) or set(card.needs) - {"truth"}:
        return None
    name = card.reads.array
    column = f"{name}:{card.reads.backbone}"
    if card.reads.backbone == DETECTOR:
        score = generated["face_score"]
        rows = pd.DataFrame({column: score.notna().astype(float) if name == "found" else score})
    elif column in generated:
        rows = generated[[column]].copy()
    else:
        return None
    if "truth" in card.needs:
        if name not in generated:
            return None
        rows[name] = pd.to_numeric(generated[name], errors="coerce")
    return rows
