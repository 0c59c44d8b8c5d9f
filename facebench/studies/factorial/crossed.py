"""Intervals of means over people and targets, both of them random.

    d_pt = μ + a_p + b_t + e_pt                      person p, target t, a_p, b_t and e_pt random
    Var(mean) = (σ_a² T + σ_b² P + σ_e²) / (P T)
              = (max(MS_a − MS_e, 0) + max(MS_b − MS_e, 0) + MS_e) / (P T)

MS are the mean squares of the two-way table without replication. The interval uses Student's t with Satterthwaite's
degrees of freedom. It holds for new people and new targets, not only for those of the study.

Sources: Satterthwaite 1946; Clark 1973 and Judd, Westfall & Kenny 2012 (crossed random factors). Tables with gaps use
the pigeonhole bootstrap (Owen 2007).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.stats

from facebench.metrics.arrays import Floats

LEVEL = 0.95
RESAMPLES = 2000


@dataclass(frozen=True)
class Mean:
    """Mean with its interval.

    Attributes:
        value: mean over people and targets, each person and target with equal weight.
        low: lower end of the 95 % interval; None where it cannot be estimated.
        high: upper end.
        p: p value of a mean of zero; None where it cannot be estimated.
        method: method of the interval, and to what it generalises.
    """

    value: float
    low: float | None = None
    high: float | None = None
    p: float | None = None
    method: str = ""

    def within(self, smallest: float | None, largest: float | None) -> Mean:
        """Clip the interval to the range of the metric; the interval of a difference is not clipped.

        Example:
            >>> Mean(0.1, -0.2, 0.4).within(0.0, None).low
            0.0
        """
        if self.low is None or self.high is None:
            return self
        low = self.low if smallest is None else max(self.low, smallest)
        high = self.high if largest is None else min(self.high, largest)
        return replace(self, low=low, high=high)


@dataclass(frozen=True)
class Variance:
    """One term of the variance of a mean, with its degrees of freedom; terms may be negative."""

    value: float
    freedom: float


def crossed_mean(table: Floats, seed: int = 0) -> Mean:
    """Return the mean of a table and its interval for new people and new targets.

    Args:
        table: (people, targets); NaN where a person has no value of a target.
        seed: seed of the bootstrap of tables with gaps.

    Example:
        >>> table = np.add.outer([0.0, 0.1, 0.2, 0.3], [0.0, 0.2, 0.4])
        >>> mean = crossed_mean(table)
        >>> round(mean.value, 3), round(mean.low, 3), round(mean.high, 3)
        (0.35, -0.054, 0.754)
    """
    table = np.asarray(table, np.float64)
    table = table[~np.isnan(table).all(axis=1)][:, ~np.isnan(table).all(axis=0)]
    people, targets = table.shape
    value = float(np.nanmean(table))
    if people * targets == 1:
        return Mean(value, method="no interval: one person and one target")
    if np.isnan(table).any():
        return _bootstrapped(table, value, seed)
    if people == 1 or targets == 1:
        variance = float(table.var(ddof=1)) / table.size
        kind = "targets, this person" if people == 1 else "people, this target"
        return _student(value, variance, table.size - 1, f"Student's t over {table.size} {kind} only")
    method = f"Student's t with {people} people and {targets} targets random (Satterthwaite)"
    return student_mean(value, crossed_variance(table, seed), method)


def crossed_variance(table: Floats, seed: int = 0) -> list[Variance]:
    """Return the terms of the variance of a mean over people and targets, both random.

    Args:
        table: (people, targets), at least two numbers; gaps are NaN and resampled.
        seed: seed of the bootstrap of tables with gaps.
    """
    people, targets = table.shape
    if np.isnan(table).any():
        drawn = _draws(table, seed)
        return [Variance(float(np.nanvar(drawn, ddof=1)), max(min(people, targets) - 1, 1))]
    if people == 1 or targets == 1:
        return [Variance(float(table.var(ddof=1)) / table.size, table.size - 1)]
    squares = _mean_squares(table)
    kept = [squares[0], *(ms for ms in squares[1:] if ms[0] > squares[0][0])]
    # Each kept component adds MS − MS_e; the first term is MS_e itself.
    signs = [1.0 - (len(kept) - 1), *([1.0] * (len(kept) - 1))]
    return [Variance(sign * ms / table.size, df) for sign, (ms, df) in zip(signs, kept, strict=True)]


def student_mean(value: float, variances: Sequence[Variance], method: str) -> Mean:
    """Return a mean with Student's t interval and Satterthwaite's degrees of freedom."""
    total = sum(each.value for each in variances)
    spread = sum(each.value**2 / each.freedom for each in variances)
    return _student(value, total, total**2 / spread if spread > 0 else 1.0, method)


def _mean_squares(table: Floats) -> list[tuple[float, int]]:
    """Mean square and degrees of freedom of the residuals, of the people and of the targets."""
    people, targets = table.shape
    rows, columns, mean = table.mean(axis=1), table.mean(axis=0), table.mean()
    residuals = table - rows[:, None] - columns[None, :] + mean
    freedom = (people - 1) * (targets - 1), people - 1, targets - 1
    sums = (
        float((residuals**2).sum()),
        targets * float(((rows - mean) ** 2).sum()),
        people * float(((columns - mean) ** 2).sum()),
    )
    return [(total / df, df) for total, df in zip(sums, freedom, strict=True)]


def _student(value: float, variance: float, freedom: float, method: str) -> Mean:
    error = float(np.sqrt(max(variance, 0.0)))
    # Equal values differ by rounding errors, which would appear significant.
    if error <= 1e-12 * max(abs(value), 1e-300):
        return Mean(value, value, value, float(value == 0), method)
    reach = float(scipy.stats.t.ppf((1 + LEVEL) / 2, freedom)) * error
    p = float(2 * scipy.stats.t.sf(abs(value) / error, freedom))
    return Mean(value, value - reach, value + reach, p, method)


def _bootstrapped(table: Floats, value: float, seed: int) -> Mean:
    """Return the mean of a table with gaps, and its interval from resamples of people and targets."""
    people, targets = table.shape
    drawn = _draws(table, seed)
    low, high = np.nanquantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    error = float(np.nanstd(drawn, ddof=1))
    p = float(2 * scipy.stats.norm.sf(abs(value) / error)) if error > 0 else float(value == 0)
    gaps = int(np.isnan(table).sum())
    method = f"pigeonhole bootstrap with {people} people and {targets} targets random, {gaps} gaps"
    return Mean(value, float(low), float(high), p, method)


def _draws(table: Floats, seed: int) -> Floats:
    """Resample people and targets independently; a cell counts as often as its person times its target."""
    rng = np.random.default_rng(seed)
    people, targets = table.shape
    known = ~np.isnan(table)
    filled = np.where(known, table, 0.0)
    row = rng.multinomial(people, np.full(people, 1 / people), RESAMPLES).astype(float)
    column = rng.multinomial(targets, np.full(targets, 1 / targets), RESAMPLES).astype(float)
    weight = np.einsum("bp,pt,bt->b", row, known.astype(float), column)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.einsum("bp,pt,bt->b", row, filled, column) / weight)
