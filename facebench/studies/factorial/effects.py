"""Factorial studies: effects of training choices on metrics, with intervals.

The factors are tags of the runs (`--tag data=FFHQ --tag stage=DECA`). The value of a metric in each run is modelled by
main effects and two-way interactions of the factors. An effect is a weighted sum of the values of the runs, so its
interval follows from their joint distribution. If all runs use the same images, the images are resampled jointly (a
repeated-measures design). This removes the difficulty of the images, which is common to all models.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import scipy.stats

from facebench.compare.comparability import reasons_not_comparable
from facebench.core.errors import InputError
from facebench.evaluation.breakdown import holm
from facebench.evaluation.per_image import per_image_metric
from facebench.evaluation.record import MetricResult, Run, load_run
from facebench.metrics.arrays import Floats

RESAMPLES = 1000
Levels = Mapping[str, tuple[str, ...]]
Cell = tuple[str, ...]


@dataclass(frozen=True)
class Effect:
    """Effect on one metric, in the unit of the metric.

    Attributes:
        metric: id of the metric.
        factors: one factor for a main effect, two for an interaction.
        levels: levels that are compared with the first levels of the factors.
        value: main effect: mean of this level minus mean of the first level, averaged over the other factors.
            Interaction: difference of the effect of the first factor between the levels of the second. None where the
            effect is confounded with other effects.
        low: lower end of the 95 % interval.
        high: upper end of the 95 % interval.
        p: p-value, corrected over the effects on the metric (Holm).
        method: method of the interval.
    """

    metric: str
    factors: tuple[str, ...]
    levels: tuple[str, ...]
    value: float | None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    method: str = ""

    @property
    def clear(self) -> bool:
        """Whether the effect differs from zero at p < 0.05, corrected over the effects on the metric."""
        return self.p is not None and self.p < 0.05


@dataclass(frozen=True)
class Study:
    """Runs, their factors, and the effects on every metric.

    Attributes:
        runs: the runs, in input order.
        levels: levels of every factor that varies.
        metrics: ids of the metrics, in the requested order.
        effects: effects by metric.
        left_out: requested metrics without a value in some run, with the reason.
    """

    runs: list[Run]
    levels: Levels
    metrics: list[str]
    effects: dict[str, list[Effect]]
    left_out: dict[str, str] = field(default_factory=dict)

    def result(self, metric: str) -> MetricResult:
        """Return the result of a metric in the first run, for its title and direction."""
        return self.runs[0].metrics[metric]

    def cell(self, run: Run) -> Cell:
        """Return the levels of a run."""
        return tuple(run.tags[factor] for factor in self.levels)

    def best(self, metric: str) -> Run | None:
        """Return the run with the best value; None for metrics without a better direction."""
        sign = {"higher": -1.0, "lower": 1.0, "neither": 0.0}[self.result(metric).better]
        if sign == 0:
            return None
        return min(self.runs, key=lambda run: sign * (run.metrics[metric].value or 0.0))


def factorial(
    runs: Iterable[Run | str | Path], metrics: Sequence[str] | None = None, *, seed: int = 0
) -> Study:
    """Estimate main effects and two-way interactions of the factors in the tags of the runs.

    Args:
        runs: records, run folders or record files, all with the same factors as tags.
        metrics: ids; by default all metrics with a value in every run. Metrics missing in some runs are left out.
        seed: seed of the resampling.

    Raises:
        InputError: fewer than two runs, missing tags, no varying factor, runs that are not comparable, or no
            metric with a value in every run.

    Example:
        >>> import facebench.studies.factorial.effects
        >>> study = facebench.studies.factorial.effects.factorial(["runs/a", "runs/b"])  # doctest: +SKIP
    """
    loaded = [run if isinstance(run, Run) else load_run(run) for run in runs]
    levels = _levels(loaded)
    chosen, left_out = _metrics(loaded, metrics)
    cells = [tuple(run.tags[factor] for factor in levels) for run in loaded]
    effects = {}
    for metric in chosen:
        values = np.array([run.metrics[metric].value for run in loaded], dtype=np.float64)
        draws, method = _draws(metric, loaded, seed)
        effects[metric] = _effects(metric, levels, cells, values, draws, method)
    return Study(loaded, levels, chosen, effects, left_out)


def _levels(runs: Sequence[Run]) -> Levels:
    """Return the varying factors with their levels, in the order of the runs."""
    if len(runs) < 2:
        raise InputError(f"A factorial study needs at least two runs, got {len(runs)}.")
    named = list(dict.fromkeys(tag for run in runs for tag in run.tags))
    for run in runs:
        missing = [tag for tag in named if tag not in run.tags]
        if missing or not named:
            lacks = f"lacks the tag {', '.join(missing)}" if missing else "has no tags"
            raise InputError(f"{run.name} {lacks}. Evaluate it with --tag NAME=VALUE for every factor.")
        reasons = reasons_not_comparable(runs[0], run)
        if reasons:
            raise InputError(f"{run.name} is not comparable with {runs[0].name}: {'; '.join(reasons)}.")
    levels = {tag: tuple(dict.fromkeys(run.tags[tag] for run in runs)) for tag in named}
    varying = {tag: names for tag, names in levels.items() if len(names) > 1}
    if not varying:
        raise InputError(f"No factor varies: all runs have the same {', '.join(named)}.")
    return varying


def _metrics(runs: Sequence[Run], wanted: Sequence[str] | None) -> tuple[list[str], dict[str, str]]:
    """Return the metrics with a value in every run, and the reasons why requested metrics are left out."""
    if wanted is None:
        return [m for m in runs[0].metrics if all(_has(run, m) for run in runs)], {}
    left_out: dict[str, str] = {}
    for metric in wanted:
        lacking = [run for run in runs if not _has(run, metric)]
        if len(lacking) == len(runs):
            # Probably a misspelled name.
            raise InputError(f"No run has a value of the metric '{metric}'.{_reason(lacking[0], metric)}")
        if lacking:
            others = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
            lack = "lack" if others else "lacks"
            left_out[metric] = f"{lacking[0].name}{others} {lack} a value.{_reason(lacking[0], metric)}"
    kept = [metric for metric in wanted if metric not in left_out]
    if not kept:
        raise InputError(
            f"No metric has a value in every run. {next(iter(left_out))}: {next(iter(left_out.values()))}"
        )
    return kept, left_out


def _reason(run: Run, metric: str) -> str:
    reason = run.metrics[metric].reason if metric in run.metrics else "It was not measured."
    return f" {reason}" if reason else ""


def _has(run: Run, metric: str) -> bool:
    return metric in run.metrics and run.metrics[metric].value is not None


def _draws(metric: str, runs: Sequence[Run], seed: int) -> tuple[Floats | None, str]:
    """Return joint resamples of the values of the runs, (resamples, runs), and the method."""
    rng = np.random.default_rng(seed)
    restored = [per_image_metric(metric, run) for run in runs]
    sides = [side for side in restored if side is not None]
    if len(sides) == len(runs) and all(set(side.rows.index) == set(sides[0].rows.index) for side in sides):
        items = sides[0].rows.index
        rows = [side.rows.reindex(items).to_numpy(dtype=np.float64) for side in sides]
        drawn = [rng.integers(len(items), size=len(items)) for _ in range(RESAMPLES)]
        values = [[side.on(each[at]) for side, each in zip(sides, rows, strict=True)] for at in drawn]
        return np.array(values), f"bootstrap over {len(items)} shared images"
    ends = [(run.metrics[metric].low, run.metrics[metric].high) for run in runs]
    if any(low is None or high is None for low, high in ends):
        return None, "no interval: a run lacks one"
    centre = np.array([run.metrics[metric].value for run in runs], dtype=np.float64)
    reach = np.array([(high - low) / 2 for low, high in ends if low is not None and high is not None])
    return centre + reach / 1.96 * rng.standard_normal(
        (RESAMPLES, len(runs))
    ), "independent intervals of the runs"


def _effects(
    metric: str, levels: Levels, cells: Sequence[Cell], values: Floats, draws: Floats | None, method: str
) -> list[Effect]:
    effects = []
    for factors, compared, weights in contrasts(levels, cells):
        if weights is None:
            effects.append(Effect(metric, factors, compared, None, method="confounded with other effects"))
            continue
        value = float(weights @ values)
        # Equal runs differ by rounding errors, which resampling does not change; they would appear significant.
        rounding = 1e-12 * float(np.abs(weights) @ np.abs(values))
        value = 0.0 if abs(value) <= rounding else value
        if draws is None:
            effects.append(Effect(metric, factors, compared, value, method=method))
            continue
        drawn = draws @ weights
        drawn[np.abs(drawn) <= rounding] = 0.0
        low, high = np.nanquantile(drawn, [0.025, 0.975])
        error = float(np.nanstd(drawn, ddof=1))
        p = float(2 * scipy.stats.norm.sf(abs(value) / error)) if error > 0 else float(value == 0)
        effects.append(Effect(metric, factors, compared, value, float(low), float(high), p, method))
    tested = [place for place, effect in enumerate(effects) if effect.p is not None]
    corrected = holm([effects[place].p or 0.0 for place in tested])
    for place, p in zip(tested, corrected, strict=True):
        effects[place] = replace(effects[place], p=p)
    return effects


def contrasts(
    levels: Levels, cells: Sequence[Cell]
) -> list[tuple[tuple[str, ...], tuple[str, ...], Floats | None]]:
    """Return every effect as weights of the values of the runs; None for confounded effects.

    X is the design matrix of the runs, G that of the grid of all cells. An effect c of the grid is estimated by
    c G X⁺ y. It is estimable when c G lies in the row space of X.
    """
    grid = list(itertools.product(*levels.values()))
    full, observed = _design(levels, grid), _design(levels, cells)
    inverse = np.linalg.pinv(observed)
    found: list[tuple[tuple[str, ...], tuple[str, ...], Floats | None]] = []
    for factors, compared, contrast in _grid_contrasts(levels, grid):
        row = contrast @ full
        weights = row @ inverse
        estimable = np.allclose(weights @ observed, row, atol=1e-8)
        found.append((factors, compared, weights if estimable else None))
    return found


def _design(levels: Levels, cells: Sequence[Cell]) -> Floats:
    """Return the design matrix: intercept, main effects and two-way interactions, in sum coding."""
    coded = []
    for place, names in enumerate(levels.values()):
        columns = np.array([[float(cell[place] == name) for name in names[1:]] for cell in cells])
        first = np.array([cell[place] == names[0] for cell in cells])
        coded.append(np.where(first[:, None], -1.0, columns))
    pairs = [
        (a[:, :, None] * b[:, None, :]).reshape(len(cells), -1) for a, b in itertools.combinations(coded, 2)
    ]
    return np.asarray(np.concatenate([np.ones((len(cells), 1)), *coded, *pairs], axis=1))


def _grid_contrasts(
    levels: Levels, grid: Sequence[Cell]
) -> Iterable[tuple[tuple[str, ...], tuple[str, ...], Floats]]:
    """Yield every effect as weights of the values of the full grid."""
    names = list(levels)

    def share(place: int, level: str) -> Floats:
        """Return +1 for cells of a level, −1 for cells of the first level, else 0."""
        inside = np.array([float(cell[place] == level) for cell in grid])
        first = np.array([float(cell[place] == levels[names[place]][0]) for cell in grid])
        return np.asarray(inside - first)

    for place, factor in enumerate(names):
        for level in levels[factor][1:]:
            weights = share(place, level)
            yield (factor,), (level,), weights / np.sum(weights > 0)
    for a, b in itertools.combinations(range(len(names)), 2):
        for level_a, level_b in itertools.product(levels[names[a]][1:], levels[names[b]][1:]):
            weights = share(a, level_a) * share(b, level_b)
            yield (names[a], names[b]), (level_a, level_b), weights / (np.sum(weights > 0) / 2)
