"""Bootstrap of metrics that average over rows: units are drawn with replacement, with all their rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from facebench.core.errors import InputError
from facebench.metrics.arrays import Array, Floats
from facebench.metrics.interval import Interval, Metric, numbers
from facebench.metrics.intervals.bca import bca_interval
from facebench.metrics.intervals.row_sums import row_sums
from facebench.metrics.intervals.shares import share_intervals
from facebench.metrics.intervals.studentised import studentised_mean
from facebench.metrics.units import GROUPS, Units

_CELLS = 4_000_000
"""Weights held in memory at once: 32 MB."""


def bootstrap_images(
    function: Metric,
    *arrays: Array,
    units: Units | None = None,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Interval]:
    """BCa bootstrap intervals of a metric that averages over images.

    Units are drawn with replacement, and all rows of a unit are drawn together. In a crossed design both factors are
    drawn, and a row counts as often as the product of its two units (pigeonhole bootstrap).

    Args:
        function: the metric, such as `mean_std`, `paired_delta`, `paired_similarity`, `affect_agreement`.
        arrays: its arguments; row i of each belongs to image i.
        units: resampling units of the rows; None for independent rows.
        resamples: number of resamples.
        seed: seed of the draws.
        level: nominal coverage.

    Returns:
        An interval for every number of the result, by field name; "value" when the result is one number. Numbers that
        are undefined in a resample (a correlation of constants) leave it out, and the note counts these resamples.

    Raises:
        InputError: no rows, unequal lengths, or what the metric raises.

    Source:
        Efron 1987 (BCa); Hesterberg 2015 (expanded levels); Davison and Hinkley 1997, section 3.8 (clusters); Owen
        2007, "The pigeonhole bootstrap".

    Example:
        >>> from facebench.metrics import mean_std
        >>> interval = bootstrap_images(mean_std, np.arange(101.0))["mean"]
        >>> 40 < interval.low < 50 < interval.high < 60
        True
    """
    rows = [np.asarray(array) for array in arrays]
    n = len(rows[0])
    if n == 0 or any(len(array) != n for array in rows):
        raise InputError(f"bootstrap_images needs arrays of one length, got {[len(a) for a in rows]}.")
    units = units or Units.rows(n)
    value = numbers(function(*rows))
    computed = _Resampler(function, rows, units, value)
    draws = computed.draws(resamples, seed)
    leave_out = computed.leave_out(seed)
    found = {
        name: replace(
            bca_interval(
                number,
                draws[name],
                [factor[name] for factor in leave_out if name in factor],
                level,
                units.effective,
                units.note,
            ),
            unit=units.kind,
            leave_out=_stored(leave_out, name),
        )
        for name, number in value.items()
        if name in draws
    }
    if "mean" in found and computed.values is not None and _is_continuous(computed.values):
        found["mean"] = studentised_mean(computed.values, units, found["mean"], resamples, seed)
    return share_intervals(function, value, found)


def _is_continuous(values: Floats) -> bool:
    """Whether there are more than ten distinct values, and so no share or count of classes."""
    return len(np.unique(values[:1000])) > _DISTINCT


_DISTINCT = 10


def _stored(leave_out: list[dict[str, Floats]], name: str) -> tuple[float, ...]:
    """Values without each group of a design with one factor; a crossed design has no single list of them."""
    if len(leave_out) != 1 or name not in leave_out[0]:
        return ()
    return tuple(float(number) for number in leave_out[0][name])


class _Resampler:
    """A metric in resamples, from row sums where possible and from repeated rows otherwise."""

    def __init__(self, function: Metric, rows: list[Array], units: Units, names: Iterable[str]) -> None:
        self._function = function
        self._rows = rows
        self._sums = row_sums(function, rows)
        self._units = units
        self._names = names

    @property
    def values(self) -> Floats | None:
        """The numbers whose mean the metric is; None for other metrics."""
        return None if self._sums is None else self._sums.values

    def draws(self, resamples: int, seed: int) -> dict[str, Floats]:
        """The fields of the metric in each resample, (resamples,) each."""
        rng = np.random.default_rng(seed)
        return self._of_weights(self._units.draw(rng) for _ in range(resamples))

    def leave_out(self, seed: int) -> list[dict[str, Floats]]:
        """The fields of the metric without each group of units, for every factor."""
        values = []
        for dealt in self._units.deal(GROUPS, seed):
            groups = int(dealt.max()) + 1
            if groups > 1:
                values.append(self._of_weights((dealt != group) * 1.0 for group in range(groups)))
        return values

    def _of_weights(self, weights: Iterable[Floats]) -> dict[str, Floats]:
        parts = [self._fields(part) for part in _stacked(weights, max(1, _CELLS // len(self._rows[0])))]
        return {name: np.concatenate([part[name] for part in parts]) for name in self._names}

    def _fields(self, weights: Floats) -> dict[str, Floats]:
        if self._sums is not None:
            return self._sums.of_weights(weights)
        results = [self._of_repeated(each) for each in weights]
        return {name: np.array([result.get(name, np.nan) for result in results]) for name in self._names}

    def _of_repeated(self, weights: Floats) -> dict[str, float]:
        index = np.repeat(np.arange(len(weights)), weights.astype(np.int64))
        if len(index) == 0:
            return {}
        try:
            return numbers(self._function(*(array[index] for array in self._rows)))
        except InputError:
            return {}


def _stacked(weights: Iterable[Floats], at_once: int) -> Iterator[Floats]:
    """Stack weights of rows into matrices of a few resamples."""
    part: list[Floats] = []
    for each in weights:
        part.append(each)
        if len(part) == at_once:
            yield np.stack(part)
            part = []
    if part:
        yield np.stack(part)
