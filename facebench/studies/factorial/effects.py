"""Factorial studies: effects of training choices on metrics, with intervals.

The factors are tags of the runs (`--tag data=FFHQ --tag stage=DECA`). The value of a metric in each run is modelled by
main effects and two-way interactions of the factors. An effect is a weighted sum of the values of the runs, so its
interval follows from their joint error. If runs use the same people or images, or the same reference, what they share
cancels (a repeated-measures design).

Runs with the same factors are training runs of one cell. The run is then a random effect: its variance is pooled within
cells, with Satterthwaite's degrees of freedom. Without replicates the effects concern these trained models only.

Source:
    Searle, Casella and McCulloch 1992, "Variance components"; Satterthwaite 1946; Bouthillier et al. 2021, "Accounting
    for variance in machine learning benchmarks". See `facebench.compare.replicates`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import scipy.stats

from facebench.compare.board import model_name
from facebench.compare.comparability import reasons_not_comparable
from facebench.compare.difference import has_interval
from facebench.compare.replicates import SEED, Estimates, Training, estimates
from facebench.core.errors import InputError
from facebench.core.escape import escape_html
from facebench.core.language import translate
from facebench.evaluation.breakdown import holm
from facebench.evaluation.record import MetricResult, Run
from facebench.evaluation.record_reading import load_run
from facebench.metrics.arrays import Floats

Levels = Mapping[str, tuple[str, ...]]
Cell = tuple[str, ...]
Contrast = tuple[tuple[str, ...], tuple[str, ...], Floats | None]


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
        training: variance between the training runs of one cell, by metric.
        means: one run per cell with the means over its training runs; empty without replicates.
    """

    runs: list[Run]
    levels: Levels
    metrics: list[str]
    effects: dict[str, list[Effect]]
    left_out: dict[str, str] = field(default_factory=dict)
    training: dict[str, Training] = field(default_factory=dict)
    means: list[Run] = field(default_factory=list)

    def __repr__(self) -> str:
        """Return one line: the number of runs, the factors and the number of metrics."""
        return (
            f"<Study: {len(self.runs)} runs, factors {', '.join(self.levels)}, {len(self.metrics)} metrics>"
        )

    def _repr_html_(self) -> str:
        """Return the sentences about clear effects and the table of effects, for notebooks."""
        from facebench.studies.factorial.report import effects_table, sentences

        return sentences_html(sentences(self)) + effects_table(self)._repr_html_()

    @property
    def cells(self) -> list[Run]:
        """One run per cell: the run, or the mean over the training runs of the cell."""
        return self.means or self.runs

    @property
    def scope(self) -> str:
        """What the intervals generalise to."""
        known = [training for training in self.training.values() if training.is_replicated]
        if not known:
            return (
                "These trained models only: the intervals do not include the variation between training runs. "
                f"Train each cell several times and tag the runs with --tag {SEED}=NUMBER."
            )
        return (
            f"New training runs: {len(self.runs)} runs in {len(self.cells)} cells, the run as a random effect, its "
            f"variance pooled within cells ({known[0].degrees_of_freedom} degrees of freedom)."
        )

    def result(self, metric: str) -> MetricResult:
        """Return the result of a metric in the first run, for its title and direction."""
        return self.runs[0].metrics[metric]

    def cell(self, run: Run) -> Cell:
        """Return the levels of a run."""
        return tuple(run.tags[factor] for factor in self.levels)

    def best(self, metric: str) -> Run | None:
        """Return the cell with the best value; None for metrics without a better direction."""
        sign = {"higher": -1.0, "lower": 1.0, "neither": 0.0}[self.result(metric).better]
        if sign == 0:
            return None
        return min(self.cells, key=lambda run: sign * (run.metrics[metric].value or 0.0))


def sentences_html(sentences: Iterable[str]) -> str:
    """Return sentences as an HTML list in the language of the user."""
    return "<ul>" + "".join(f"<li>{escape_html(translate(each))}</li>" for each in sentences) + "</ul>\n"


def factorial(
    runs: Iterable[Run | str | Path], metrics: Sequence[str] | None = None, *, seed: int = 0
) -> Study:
    """Estimate main effects and two-way interactions of the factors in the tags of the runs.

    Args:
        runs: records, run folders or record files, all with the same factors as tags.
        metrics: ids; by default all metrics with a value in every run. Metrics missing in some runs are left out.
        seed: not used; the intervals contain no random numbers.

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
    order = list(dict.fromkeys(cells))
    weights = contrasts(levels, order)
    joint = {metric: estimates(metric, loaded, cells) for metric in chosen}
    effects = {metric: _effects(metric, weights, loaded, each) for metric, each in joint.items()}
    training = {metric: each.training for metric, each in joint.items()}
    means = (
        []
        if len(order) == len(loaded)
        else [
            _cell_mean(place, [run for run, cell in zip(loaded, cells, strict=True) if cell == name], joint)
            for place, name in enumerate(order)
        ]
    )
    return Study(loaded, levels, chosen, effects, left_out, training, means)


def _levels(runs: Sequence[Run]) -> Levels:
    """Return the varying factors with their levels, in the order of the runs."""
    if len(runs) < 2:
        raise InputError(f"A factorial study needs at least two runs, got {len(runs)}.")
    named = list(dict.fromkeys(tag for run in runs for tag in run.tags if tag != SEED))
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
            left_out[metric] = (
                f"{lacking[0].name}{others} {'lack' if others else 'lacks'} a value.{_reason(lacking[0], metric)}"
            )
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


def _effects(
    metric: str, weighted: Sequence[Contrast], runs: Sequence[Run], joint: Estimates
) -> list[Effect]:
    """Effects on one metric, p-values corrected over them (Holm)."""
    method, has_error = _method(metric, runs, joint)
    effects = []
    for factors, compared, weights in weighted:
        if weights is None:
            effects.append(Effect(metric, factors, compared, None, method="confounded with other effects"))
            continue
        value = float(weights @ joint.values)
        # Equal runs differ by rounding errors, which resampling does not change; they would appear significant.
        rounding = 1e-12 * float(np.abs(weights) @ np.abs(joint.values))
        value = 0.0 if abs(value) <= rounding else value
        if not has_error:
            effects.append(Effect(metric, factors, compared, value, method=method))
            continue
        error = joint.error(weights)
        standard = 0.0 if error.standard <= rounding else error.standard
        reach = standard * float(scipy.stats.t.ppf(0.975, error.degrees_of_freedom))
        p = float(value == 0)
        if standard > 0:
            p = float(2 * scipy.stats.t.sf(abs(value) / standard, error.degrees_of_freedom))
        effects.append(Effect(metric, factors, compared, value, value - reach, value + reach, p, method))
    tested = [place for place, effect in enumerate(effects) if effect.p is not None]
    corrected = holm([effects[place].p or 0.0 for place in tested])
    for place, p in zip(tested, corrected, strict=True):
        effects[place] = replace(effects[place], p=p)
    return effects


def _method(metric: str, runs: Sequence[Run], joint: Estimates) -> tuple[str, bool]:
    """Return the method of the intervals in words, and whether there is one."""
    shared = min((joint.joint.shared(0, place) for place in range(1, len(runs))), default=0)
    measured = f"over {shared} shared {joint.unit}" if joint.unit else "independent intervals of the runs"
    if joint.training.is_replicated:
        freedom = joint.training.degrees_of_freedom
        return f"run as random effect ({freedom} degrees of freedom), {measured}", True
    known = joint.unit or all(has_interval(run.metrics[metric]) for run in runs)
    return (measured, True) if known else ("no interval: a run lacks one", False)


def _cell_mean(place: int, runs: Sequence[Run], joint: Mapping[str, Estimates]) -> Run:
    """The training runs of one cell as one run: means with intervals for new training runs."""
    metrics = dict(runs[0].metrics)
    for metric, each in joint.items():
        weights = np.zeros(len(each.values))
        weights[place] = 1.0
        low, high = each.interval(weights)
        change = {"value": float(each.values[place]), "low": low, "high": high, "level": 0.95}
        metrics[metric] = runs[0].metrics[metric].model_copy(update=change)
    tags = {tag: value for tag, value in runs[0].tags.items() if tag != SEED}
    return runs[0].model_copy(update={"name": model_name(runs[0]), "tags": tags, "metrics": metrics})


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
