"""Intervals of means over people, targets and trainings, all of them random.

    d_spt = μ + c_s + a_p + b_t + interactions + e_spt        training s, person p, target t
    Var(mean) = Var of the mean over trainings, people and targets random
              + max(MS_s − max(MS_sp + MS_st − MS_spt, 0), 0) / (S P T)

MS are the mean squares of the three-way table without replication. Cells that use one trained model share its
trainings, so an effect is computed for each training first, and what the cells share cancels.

Sources: as in `facebench.studies.factorial.crossed`; Searle, Casella & McCulloch 1992, "Variance components".
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from facebench.metrics.arrays import Floats
from facebench.studies.factorial.crossed import Mean, Variance, crossed_mean, crossed_variance, student_mean


def mean_of_trainings(tables: Floats, seed: int = 0) -> Mean:
    """Return the mean of a table of each training, with its interval for new trainings, people and targets.

    Args:
        tables: (trainings, people, targets); NaN where a person has no value of a target, in all trainings alike.
        seed: seed of the bootstrap of tables with gaps.

    Example:
        >>> people, targets = np.arange(4) / 10, np.arange(3) / 10
        >>> table = np.add.outer(people, targets)
        >>> mean = mean_of_trainings(np.stack([table - 0.1, table, table + 0.1]))
        >>> round(mean.value, 3), round(mean.low, 3), round(mean.high, 3)
        (0.25, 0.003, 0.497)
    """
    tables = np.asarray(tables, np.float64)
    average = tables.mean(axis=0)
    if len(tables) == 1:
        return crossed_mean(average, seed)
    known = ~np.isnan(average)
    people, targets = (int(known.any(axis=axis).sum()) for axis in (1, 0))
    value = float(np.nanmean(average))
    method = f"Student's t with {len(tables)} trainings, {people} people and {targets} targets random (Satterthwaite)"
    return student_mean(value, [*_of_images(average, seed), *_of_trainings(tables)], method)


def spread_of_trainings(tables: Floats) -> float:
    """Return the standard deviation of the means of the trainings (trainings, people, targets); NaN of one training."""
    means = np.nanmean(tables, axis=(1, 2))
    return float(means.std(ddof=1)) if len(means) > 1 else float("nan")


def _of_images(average: Floats, seed: int) -> Sequence[Variance]:
    """Return the variance of the mean over trainings from people and targets; none of a single person and target."""
    known = average[~np.isnan(average).all(axis=1)][:, ~np.isnan(average).all(axis=0)]
    return crossed_variance(known, seed) if known.size > 1 else []


def _of_trainings(tables: Floats) -> Sequence[Variance]:
    """Return the variance between trainings, without what interactions with people and targets add to it."""
    count = len(tables)
    means = np.nanmean(tables, axis=(1, 2))
    between = Variance(float(means.var(ddof=1)) / count, count - 1)
    people, targets = tables.shape[1:]
    if np.isnan(tables).any() or min(people, targets) == 1:
        return [between]
    size = tables.size
    by_person = _interaction(tables.mean(axis=2)) * targets
    by_target = _interaction(tables.mean(axis=1)) * people
    all_three = _three_way(tables)
    shared = max(by_person + by_target - all_three, 0.0) / size
    if between.value <= shared:
        return []
    freedom = (count - 1) * (min(people, targets) - 1)
    return [between, Variance(-shared, freedom)]


def _interaction(table: Floats) -> float:
    """Mean square of the interaction of rows and columns."""
    rows, columns = table.shape
    rest = table - table.mean(axis=1, keepdims=True) - table.mean(axis=0) + table.mean()
    return float((rest**2).sum() / ((rows - 1) * (columns - 1)))


def _three_way(tables: Floats) -> float:
    """Mean square of the three-way interaction."""
    s, p, t = (tables.mean(axis=axes, keepdims=True) for axes in ((1, 2), (0, 2), (0, 1)))
    sp, st, pt = (tables.mean(axis=axis, keepdims=True) for axis in (2, 1, 0))
    rest = tables - sp - st - pt + s + p + t - tables.mean()
    return float((rest**2).sum() / np.prod([size - 1 for size in tables.shape]))
