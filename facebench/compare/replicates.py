"""Replicated training: several runs of one model, trained with different seeds.

    y_r = model mean + run effect + measurement error        run effect ~ N(0, τ²)
    s²  = Σ (y_r − ȳ_model)² / Σ (n_model − 1)               v = what the measurement error adds to E[s²]
    var(Σ w ȳ) = measurement + max(0, s² − v) Σ w² / n

The run is a random effect. Its variance is pooled within models, as in the analysis of variance. Degrees of freedom are
Satterthwaite's. Without replicates the runs are fixed: intervals then concern these trained models only.

Source:
    Bouthillier et al. 2021, "Accounting for variance in machine learning benchmarks"; Searle, Casella and McCulloch
    1992, "Variance components"; Satterthwaite 1946.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from facebench.compare.difference import arms, degrees_of_freedom, has_interval
from facebench.compare.influence import Component, Error, Influence, Joint, influence
from facebench.evaluation.record import Run
from facebench.metrics.arrays import Floats
from facebench.metrics.quantiles import t_quantile

SEED = "seed"
"""Tag that numbers the training runs of one model."""


@dataclass(frozen=True)
class Training:
    """Variance between training runs of one model.

    Attributes:
        variance: s², pooled within models; 0 without replicates.
        measurement: v, the part of s² that the measurement error explains.
        degrees_of_freedom: Σ (n_model − 1); 0 without replicates.
    """

    variance: float
    measurement: float
    degrees_of_freedom: int

    @property
    def is_replicated(self) -> bool:
        """Whether any model has several runs."""
        return self.degrees_of_freedom > 0

    @property
    def deviation(self) -> float:
        """Standard deviation of the values of the runs of one model."""
        return math.sqrt(self.variance)


@dataclass(frozen=True)
class Estimates:
    """Values of one metric for several models, with their joint error.

    Attributes:
        values: (models,) mean over the runs of each model.
        averaging: (models, runs) weights of the runs.
        joint: joint measurement error of the runs.
        training: variance between training runs.
        unit: sampling units that the runs share, in words; empty if they share none.
    """

    values: Floats
    averaging: Floats
    joint: Joint
    training: Training
    unit: str

    def error(self, weights: Floats) -> Error:
        """Return the error of a weighted sum of the values of the models."""
        standard, freedom = self.errors(weights[None])
        return Error(float(standard[0]), float(freedom[0]))

    def errors(self, weights: Floats) -> tuple[Floats, Floats]:
        """Return standard errors and degrees of freedom (sums,) of weighted sums; weights are (sums, models)."""
        runs = weights @ self.averaging
        return self._with_training(*self.joint.errors(runs), np.square(runs).sum(axis=1))

    def difference_errors(self) -> tuple[Floats, Floats]:
        """Return standard errors and degrees of freedom of all differences of two models, (models, models)."""
        count = len(self.values)
        influences, single = self.joint.influences(self.averaging), self.joint.singles.sums(self.averaging)
        squares = np.square(self.averaging).sum(axis=1)
        errors, freedoms = np.zeros((count, count)), np.full((count, count), np.inf)
        for model in range(1, count):
            shares = [values[:, :model] - values[:, model : model + 1] for values in influences]
            # Two models share no run, so the contributions of their runs add up.
            alone = single.of(slice(model)).plus(single.of(slice(model, model + 1)))
            standard, freedom = self._with_training(
                *self.joint.errors_of(shares, alone), squares[:model] + squares[model]
            )
            errors[model, :model] = errors[:model, model] = standard
            freedoms[model, :model] = freedoms[:model, model] = freedom
        return errors, freedoms

    def _with_training(self, standard: Floats, measured: Floats, squares: Floats) -> tuple[Floats, Floats]:
        """Add the variance between training runs to the errors of sums; `squares` are those of the weights."""
        if not self.training.is_replicated:
            return standard, measured
        between = self.training.variance * squares
        within = np.maximum(np.square(standard) - self.training.measurement * squares, 0.0)
        total = np.maximum(between + within, np.square(standard))
        parts = np.square(between) / self.training.degrees_of_freedom + np.square(within) / measured
        with np.errstate(divide="ignore", invalid="ignore"):
            freedom = np.where(parts > 0, np.square(between + within) / parts, measured)
        return np.sqrt(total), np.where(total == 0, float(self.training.degrees_of_freedom), freedom)

    def covariance(self) -> Floats:
        """Return the covariance matrix of the values of the models."""
        extra = max(0.0, self.training.variance - self.training.measurement)
        between = extra * np.diag(np.square(self.averaging).sum(axis=1))
        return np.asarray(self.averaging @ self.joint.covariance() @ self.averaging.T + between)

    def interval(self, weights: Floats, level: float = 0.95) -> tuple[float, float]:
        """Return the interval of a weighted sum: value ± t · standard error."""
        error, value = self.error(weights), float(weights @ self.values)
        reach = error.standard * t_quantile(0.5 + level / 2, error.degrees_of_freedom)
        return value - reach, value + reach


def estimates(metric: str, runs: Sequence[Run], models: Sequence[Hashable]) -> Estimates:
    """Return the values of the models in one metric with their joint error.

    Args:
        metric: a metric with a value in every run.
        runs: runs.
        models: the model of each run; runs of one model are replicates.
    """
    values = np.array([run.metrics[metric].value for run in runs], dtype=np.float64)
    order = list(dict.fromkeys(models))
    averaging = np.array([[float(each == model) for each in models] for model in order])
    averaging /= averaging.sum(axis=1, keepdims=True)
    influences = _influences(metric, runs)
    joint = Joint.of(influences)
    shared = all(joint.shared(0, place) > 1 for place in range(1, len(runs)))
    unit = influences[0].unit if shared and len(runs) > 1 else ""
    training = training_variance(values, [order.index(each) for each in models], joint)
    return Estimates(averaging @ values, averaging, joint, training, unit)


def training_variance(values: Floats, models: Sequence[int], joint: Joint) -> Training:
    """Return the variance between the runs of one model, pooled over models."""
    squares, noise, freedom = 0.0, 0.0, 0
    covariance = joint.covariance()
    for model in set(models):
        rows = np.flatnonzero(np.array(models) == model)
        squares += float(np.square(values[rows] - values[rows].mean()).sum())
        block = covariance[np.ix_(rows, rows)]
        noise += float(np.trace(block) - block.sum() / len(rows))
        freedom += len(rows) - 1
    if freedom == 0:
        return Training(0.0, 0.0, 0)
    return Training(squares / freedom, min(noise, squares) / freedom, freedom)


def _influences(metric: str, runs: Sequence[Run]) -> list[Influence]:
    """Influences of the runs; recorded intervals stand for runs whose units are unknown."""
    found = [influence(metric, run) for run in runs]
    return [
        _recorded(metric, run, place) if each is None else each
        for place, (run, each) in enumerate(zip(runs, found, strict=True))
    ]


def _recorded(metric: str, run: Run, place: int) -> Influence:
    """The longer arm of the recorded interval as the influence of one unit, which no other run shares."""
    result = run.metrics[metric]
    if not has_interval(result):
        return Influence((), "no interval")
    freedom = degrees_of_freedom(result)
    standard = max(arms(result)) / t_quantile(0.975, freedom)
    component = Component(
        f"interval {place}", pd.Series([standard], index=["run"]), degrees_of_freedom=freedom
    )
    return Influence((component,), "independent intervals")
