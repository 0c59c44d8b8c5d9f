"""Models that cannot be distinguished from the best, and the range of ranks of every model.

A model cannot be distinguished from the best if no other model is better beyond a critical value. This value covers all
comparisons with this model. Models that print the same value share their mark.

Source:
    Hsu 1984, "Constrained simultaneous confidence intervals for multiple comparisons with the best"; critical values
    after Dunnett 1955, with the estimated correlations, by simulation.
    Ranks: Klein, Wright and Wieczorek 2020, "A joint confidence region for an overall ranking of populations".
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.stats

from facebench.compare.replicates import Estimates
from facebench.core.tables import Mark
from facebench.metrics.arrays import Floats

LEVEL = 0.95
DRAWS = 10_000
"""Draws of the joint distribution; the standard error of a critical value is about 0.02."""


@dataclass(frozen=True)
class Ranking:
    """Models ranked in one metric.

    Attributes:
        values: (models,) printed values, larger is better.
        errors: (models, models) standard errors of the differences; 0 without intervals.
        freedoms: (models, models) their degrees of freedom.
        draws: (draws, models) draws of the joint error of the values.
    """

    values: Floats
    errors: Floats
    freedoms: Floats
    draws: Floats

    def marks(self, models: Sequence[int]) -> dict[int, Mark]:
        """Return "best" for models that cannot be distinguished from the best; "second" likewise for the rest."""
        best = self.best(models)
        rest = [model for model in models if model not in best]
        marks: dict[int, Mark] = dict.fromkeys(best, "best")
        return marks | dict.fromkeys(self.best(rest), "second")

    def best(self, models: Sequence[int]) -> list[int]:
        """Return the models that cannot be distinguished from the best of some models."""
        if len(models) == 0:
            return []
        kept = [model for model in models if self._is_possibly_best(model, models)]
        printed = {float(self.values[model]) for model in kept}
        return [model for model in models if float(self.values[model]) in printed]

    def ranks(self, models: Sequence[int]) -> dict[int, tuple[int, int]]:
        """Return the smallest and the largest rank of each model, jointly at 95 %."""
        pairs = list(itertools.combinations(models, 2))
        critical = self._critical(pairs, two_sided=True)
        better = dict.fromkeys(models, 0)
        worse = dict.fromkeys(models, 0)
        for a, b in pairs:
            t = self._t(a, b)
            if abs(t) > critical:
                winner, loser = (a, b) if t > 0 else (b, a)
                worse[winner] += 1
                better[loser] += 1
        return {model: (1 + better[model], len(models) - worse[model]) for model in models}

    def _is_possibly_best(self, model: int, models: Sequence[int]) -> bool:
        pairs = [(other, model) for other in models if other != model]
        if not pairs:
            return True
        return max(self._t(*pair) for pair in pairs) <= self._critical(pairs)

    def _t(self, a: int, b: int) -> float:
        """By how many standard errors model a is better than model b."""
        difference = float(self.values[a] - self.values[b])
        error = float(self.errors[a, b])
        return difference / error if error > 0 else math.copysign(math.inf, difference) if difference else 0.0

    def _critical(self, pairs: Sequence[tuple[int, int]], two_sided: bool = False) -> float:
        """The value that the largest t of some differences exceeds with 5 % if all models are equal."""
        pairs = [pair for pair in pairs if self.errors[pair] > 0]
        if not pairs:
            return 0.0
        freedom = min(float(self.freedoms[pair]) for pair in pairs)
        if len(pairs) == 1:
            return float(scipy.stats.t.ppf(0.5 + LEVEL / 2 if two_sided else LEVEL, freedom))
        first, second = (list(side) for side in zip(*pairs, strict=True))
        drawn = (self.draws[:, first] - self.draws[:, second]) / self.errors[first, second]
        largest = (np.abs(drawn) if two_sided else drawn).max(axis=1)
        return float(np.quantile(largest * _scales(len(largest), freedom), LEVEL))


def rank(estimates: Estimates | None, values: Sequence[float], decimals: int, sign: int) -> Ranking:
    """Return the ranking of models in one metric.

    Args:
        estimates: joint errors of the models; None ranks printed values alone.
        values: value of each model.
        decimals: decimals that are printed; values are rounded before they are compared.
        sign: 1 if higher is better, -1 if lower is better.
    """
    printed = sign * np.array([round(value, decimals) for value in values])
    count = len(values)
    errors, freedoms = np.zeros((count, count)), np.full((count, count), np.inf)
    if estimates is None:
        return Ranking(printed, errors, freedoms, np.zeros((1, count)))
    for a, b in itertools.combinations(range(count), 2):
        weights = np.zeros(count)
        weights[[a, b]] = 1.0, -1.0
        error = estimates.error(weights)
        errors[a, b] = errors[b, a] = error.standard
        freedoms[a, b] = freedoms[b, a] = error.degrees_of_freedom
    return Ranking(printed, errors, freedoms, _draws(estimates.covariance()))


def _draws(covariance: Floats) -> Floats:
    """Draws of centred normal numbers with a covariance matrix."""
    roots, vectors = np.linalg.eigh(covariance)
    factor = vectors * np.sqrt(np.clip(roots, 0.0, None))
    return np.asarray(np.random.default_rng(0).standard_normal((DRAWS, len(covariance))) @ factor.T)


def _scales(count: int, freedom: float) -> Floats:
    """Factors that turn normal numbers into Student's t."""
    if math.isinf(freedom):
        return np.ones(count)
    return np.sqrt(freedom / np.random.default_rng(1).chisquare(freedom, count))
