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
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from facebench.compare.replicates import Estimates
from facebench.core.tables import Mark
from facebench.metrics.arrays import Floats, Ints
from facebench.metrics.quantiles import t_quantile

LEVEL = 0.95
DRAWS = 10_000
"""Draws of the joint distribution; the standard error of a critical value is about 0.02."""
_FEWEST, _NUMBERS = 1_000, 20_000_000
"""Fewest draws, and most draws times pairs: boards of more than 63 models use fewer draws than `DRAWS`."""
_BLOCK = 100_000
"""Draws times pairs in memory at once: 0.8 MB, which fits a cache."""


@dataclass(frozen=True)
class Ranking:
    """Models ranked in one metric.

    Attributes:
        values: (models,) printed values, larger is better.
        errors: (models, models) standard errors of the differences; 0 without intervals.
        freedoms: (models, models) their degrees of freedom.
        covariance: (models, models) covariance of the errors of the values.
    """

    values: Floats
    errors: Floats
    freedoms: Floats
    covariance: Floats
    _found: dict[tuple[int, ...], list[int]] = field(default_factory=dict, compare=False, repr=False)

    @cached_property
    def draws(self) -> Floats:
        """(draws, models) draws of the joint error of the values."""
        return _draws(self.covariance)

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
        if tuple(models) not in self._found:
            self._found[tuple(models)] = self._best(models)
        return self._found[tuple(models)]

    def _best(self, models: Sequence[int]) -> list[int]:
        kept = [model for model in models if self._is_possibly_best(model, models)]
        printed = {float(self.values[model]) for model in kept}
        return [model for model in models if float(self.values[model]) in printed]

    def ranks(self, models: Sequence[int]) -> dict[int, tuple[int, int]]:
        """Return the smallest and the largest rank of each model, jointly at 95 %."""
        pairs = list(itertools.combinations(models, 2))
        critical = self._critical(pairs, two_sided=True)
        t = self._t(models, models)
        worse, better = (t > critical).sum(axis=1), (t < -critical).sum(axis=1)
        return {
            model: (1 + int(better[place]), len(models) - int(worse[place]))
            for place, model in enumerate(models)
        }

    def _is_possibly_best(self, model: int, models: Sequence[int]) -> bool:
        others = [other for other in models if other != model]
        if not others:
            return True
        largest = float(self._t(others, [model]).max())
        # The critical value lies between that of one comparison and Bonferroni's, so most models need no simulation.
        compared = [other for other in others if self.errors[other, model] > 0]
        if not compared:
            return largest <= 0
        freedom = float(self.freedoms[compared, model].min())
        if largest <= t_quantile(LEVEL, freedom):
            return True
        if largest > t_quantile(1 - (1 - LEVEL) / len(compared), freedom):
            return False
        return largest <= self._critical([(other, model) for other in compared])

    def _t(self, first: Sequence[int], second: Sequence[int]) -> Floats:
        """By how many standard errors each of the first models is better than each of the second (f, s)."""
        differences = self.values[list(first), None] - self.values[list(second)]
        errors = self.errors[np.ix_(list(first), list(second))]
        exact = np.where(differences == 0, 0.0, np.copysign(np.inf, differences))
        return np.divide(differences, errors, out=exact, where=errors > 0)

    def _critical(self, pairs: Sequence[tuple[int, int]], two_sided: bool = False) -> float:
        """The value that the largest t of some differences exceeds with 5 % if all models are equal."""
        pairs = [pair for pair in pairs if self.errors[pair] > 0]
        if not pairs:
            return 0.0
        freedom = min(float(self.freedoms[pair]) for pair in pairs)
        if len(pairs) == 1:
            return t_quantile(0.5 + LEVEL / 2 if two_sided else LEVEL, freedom)
        largest = self._largest(np.array(pairs), two_sided)
        return float(np.quantile(largest * _scales(len(largest), freedom), LEVEL))

    def _largest(self, pairs: Ints, two_sided: bool) -> Floats:
        """Largest t of the pairs (n, 2) in every draw."""
        draws = np.ascontiguousarray(self.draws[: max(_FEWEST, _NUMBERS // len(pairs))].T)
        largest = np.full(draws.shape[1], -np.inf)
        step = max(1, _BLOCK // draws.shape[1])
        for start in range(0, len(pairs), step):
            first, second = pairs[start : start + step].T
            t = draws[first] - draws[second]
            t /= self.errors[first, second][:, None]
            np.maximum(largest, (np.abs(t, out=t) if two_sided else t).max(axis=0), out=largest)
        return largest


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
    if estimates is None:
        exact, infinite = np.zeros((count, count)), np.full((count, count), np.inf)
        return Ranking(printed, exact, infinite, np.zeros((count, count)))
    errors, freedoms = estimates.difference_errors()
    return Ranking(printed, errors, freedoms, estimates.covariance())


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
