"""A factorial study: which choice in training moves which metric, by how much, and how sure that is.

Runs carry the factors as tags (`--tag data=FFHQ --tag stage=DECA`). A metric's value in each run is modelled by main
effects and two-way interactions of the factors; an effect is a fixed weighted sum of the runs' values, so its interval
follows from how these vary together. Where all runs measured the same images, these are drawn with replacement, the
same ones in every run (a repeated-measures design): what makes an image easy or hard for all models drops out.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
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
    """One effect on one metric, in the metric's unit.

    Attributes:
        metric: its id.
        factors: one for a main effect, two for an interaction.
        levels: what is compared with the factors' first levels.
        value: main effect: mean of this level minus mean of the first, all other factors alike. Interaction: by how
            much the effect of the first factor differs between the levels of the second. None when the runs cannot
            tell it from other effects.
        low: lower end of the 95 % interval.
        high: upper end.
        p: corrected over the effects on the metric (Holm).
        method: how the interval was made.
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
        """Whether it differs from zero at p < 0.05, all effects on the metric together."""
        return self.p is not None and self.p < 0.05


@dataclass(frozen=True)
class Study:
    """Runs, their factors, and the effects on every metric.

    Attributes:
        runs: in the order given.
        levels: of every factor that varies.
        metrics: ids, in the order asked for.
        effects: by metric.
        left_out: metrics that were asked for but have no value in some run, and which run that is.
    """

    runs: list[Run]
    levels: Levels
    metrics: list[str]
    effects: dict[str, list[Effect]]
    left_out: dict[str, str] = field(default_factory=dict)

    def result(self, metric: str) -> MetricResult:
        """Any run's result of a metric, for its title and direction."""
        return self.runs[0].metrics[metric]

    def cell(self, run: Run) -> Cell:
        """The levels of a run."""
        return tuple(run.tags[factor] for factor in self.levels)

    def best(self, metric: str) -> Run | None:
        """The run with the best value; None where no direction is better."""
        sign = {"higher": -1.0, "lower": 1.0, "neither": 0.0}[self.result(metric).better]
        if sign == 0:
            return None
        return min(self.runs, key=lambda run: sign * (run.metrics[metric].value or 0.0))


def factorial(
    runs: Iterable[Run | str | Path], metrics: Sequence[str] | None = None, *, seed: int = 0
) -> Study:
    """Main effects and two-way interactions of the factors that the runs' tags name.

    Args:
        runs: records, run folders or record files; every one with the same factors as tags.
        metrics: ids; by default every metric that all runs have a value for. One that some runs lack is left out.
        seed: of the resampling.

    Raises:
        InputError: fewer than two runs, missing tags, no factor that varies, runs that may not be compared, or no
            metric that every run has.

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
    """The factors that vary, with their levels in the order of the runs."""
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
            raise InputError(f"{run.name} may not be compared with {runs[0].name}: {'; '.join(reasons)}.")
    levels = {tag: tuple(dict.fromkeys(run.tags[tag] for run in runs)) for tag in named}
    varying = {tag: found for tag, found in levels.items() if len(found) > 1}
    if not varying:
        raise InputError(f"No factor varies: all runs have the same {', '.join(named)}.")
    return varying


def _metrics(runs: Sequence[Run], wanted: Sequence[str] | None) -> tuple[list[str], dict[str, str]]:
    """The metrics that every run has, and why others of those wanted are left out."""
    if wanted is None:
        return [m for m in runs[0].metrics if all(_has(run, m) for run in runs)], {}
    left_out: dict[str, str] = {}
    for metric in wanted:
        lacking = [run for run in runs if not _has(run, metric)]
        if len(lacking) == len(runs):
            # Most likely a misspelt name.
            raise InputError(f"No run has a value of the metric '{metric}'.{_why(lacking[0], metric)}")
        if lacking:
            others = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
            lack = "lack" if others else "lacks"
            left_out[metric] = f"{lacking[0].name}{others} {lack} a value.{_why(lacking[0], metric)}"
    kept = [metric for metric in wanted if metric not in left_out]
    if not kept:
        raise InputError(
            f"No metric has a value in every run. {next(iter(left_out))}: {next(iter(left_out.values()))}"
        )
    return kept, left_out


def _why(run: Run, metric: str) -> str:
    reason = run.metrics[metric].reason if metric in run.metrics else "It was not measured."
    return f" {reason}" if reason else ""


def _has(run: Run, metric: str) -> bool:
    return metric in run.metrics and run.metrics[metric].value is not None


def _draws(metric: str, runs: Sequence[Run], seed: int) -> tuple[Floats | None, str]:
    """How the runs' values vary together: (resamples, runs), and how that was found out."""
    rng = np.random.default_rng(seed)
    found = [per_image_metric(metric, run) for run in runs]
    sides = [side for side in found if side is not None]
    if len(sides) == len(runs) and all(set(side.rows.index) == set(sides[0].rows.index) for side in sides):
        items = sides[0].rows.index
        rows = [side.rows.reindex(items).to_numpy(dtype=np.float64) for side in sides]
        drawn = [rng.integers(len(items), size=len(items)) for _ in range(RESAMPLES)]
        values = [[side.on(each[at]) for side, each in zip(sides, rows, strict=True)] for at in drawn]
        return np.array(values), f"bootstrap over {len(items)} shared images"
    ends = [(run.metrics[metric].low, run.metrics[metric].high) for run in runs]
    if any(low is None or high is None for low, high in ends):
        return None, "no interval: a run has none"
    centre = np.array([run.metrics[metric].value for run in runs], dtype=np.float64)
    reach = np.array([(high - low) / 2 for low, high in ends if low is not None and high is not None])
    return centre + reach / 1.96 * rng.standard_normal(
        (RESAMPLES, len(runs))
    ), "independent intervals of the runs"


def _effects(
    metric: str, levels: Levels, cells: Sequence[Cell], values: Floats, draws: Floats | None, method: str
) -> list[Effect]:
    found = []
    for factors, compared, weights in _contrasts(levels, cells):
        if weights is None:
            found.append(
                Effect(metric, factors, compared, None, method="the runs cannot tell it from other effects")
            )
            continue
        value = float(weights @ values)
        # Runs that are all alike differ by rounding alone, which no resampling moves: it would count as certain.
        rounding = 1e-12 * float(np.abs(weights) @ np.abs(values))
        value = 0.0 if abs(value) <= rounding else value
        if draws is None:
            found.append(Effect(metric, factors, compared, value, method=method))
            continue
        drawn = draws @ weights
        drawn[np.abs(drawn) <= rounding] = 0.0
        low, high = np.nanquantile(drawn, [0.025, 0.975])
        error = float(np.nanstd(drawn, ddof=1))
        p = float(2 * scipy.stats.norm.sf(abs(value) / error)) if error > 0 else float(value == 0)
        found.append(Effect(metric, factors, compared, value, float(low), float(high), p, method))
    tested = [place for place, effect in enumerate(found) if effect.p is not None]
    corrected = holm([found[place].p or 0.0 for place in tested])
    for place, p in zip(tested, corrected, strict=True):
        found[place] = Effect(**{**found[place].__dict__, "p": p})
    return found


def _contrasts(
    levels: Levels, cells: Sequence[Cell]
) -> list[tuple[tuple[str, ...], tuple[str, ...], Floats | None]]:
    """Every effect as weights of the runs' values; None where the runs cannot tell it from others.

    With the design matrix X of the runs and the grid of all cells G, an effect c of the grid's values is estimated by
    c G X⁺ y, and can be when c G lies in the row space of X.
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
    """Columns of the model: one, main effects and two-way interactions, levels coded to sum to zero."""
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
    """Every effect as weights of the full grid's values."""
    names = list(levels)

    def share(place: int, level: str) -> Floats:
        """Weight of each cell in the mean of a level minus the mean of the first level."""
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
