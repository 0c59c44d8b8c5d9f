"""Influence of sampling units on a metric, and the joint error of several runs that share units.

    u_g = sqrt((G - 1) / G) · (mean θ − θ_g)        var θ = Σ u_g²        cov(θ, θ') = Σ u_g u'_g over shared units

θ_g is the metric without unit g of G. Units are identities, sources, targets or images of the generated set, and groups
of the reference set. Two runs over the same people, or against the same reference, share units. What their values have
in common then cancels in a difference.

Source:
    Efron and Stein 1981, "The jackknife estimate of variance"; Shao and Tu 1995, chapter 2.
    Crossed units: Cameron, Gelbach and Miller 2011, "Robust inference with multiway clustering".
    Degrees of freedom: Satterthwaite 1946.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd

from facebench.compare.sampling_units import sampling_units
from facebench.evaluation.per_image import PerImageMetric, per_image_metric
from facebench.evaluation.record import Run
from facebench.metrics.arrays import Floats, Ints

_Key = tuple[str, int, float | None]
"""Kind of unit, sign, and degrees of freedom of a component."""

MOST_GROUPS = 200
"""Number of groups into which more units are dealt where the metric must be computed without each one."""


@dataclass(frozen=True)
class Component:
    """Influences of one kind of sampling unit.

    Attributes:
        kind: kind of unit, such as "identity"; units of the same kind and label are shared between runs.
        values: influence by label; their squares add up to the variance.
        sign: -1 for the term that two crossed units count twice, else 1.
        degrees_of_freedom: None for the number of units less one.
    """

    kind: str
    values: pd.Series[float]
    sign: int = 1
    degrees_of_freedom: float | None = None


@dataclass(frozen=True)
class Influence:
    """Influences of all sampling units on one metric of one run.

    Attributes:
        components: one for each kind of unit.
        unit: the sampling unit in words.
        terms: the number of each image whose mean is the metric, by image name; None if it is not a mean.
        units: label of the sampling unit of each image; None if images are not the source of the variation.
    """

    components: tuple[Component, ...]
    unit: str
    terms: pd.Series[float] | None = None
    units: pd.Series[str] | None = None


@dataclass(frozen=True)
class Error:
    """Standard error of a number with its degrees of freedom."""

    standard: float
    degrees_of_freedom: float


@dataclass(frozen=True)
class _Part:
    """Influences of independent units that the same runs share: (labels, runs)."""

    kind: str
    sign: int
    members: tuple[bool, ...]
    values: Floats
    degrees_of_freedom: float


@dataclass(frozen=True)
class SingleSums:
    """Contribution of units that one run has alone to the error of weighted sums, (sums,) each.

    Attributes:
        variance: signed variance.
        gain: variance of the kinds of units with a positive sign.
        squares: sum over these kinds of the squared variance over its degrees of freedom.
        largest: largest variance of one of these kinds.
        freedom: smallest number of degrees of freedom of these kinds.
    """

    variance: Floats
    gain: Floats
    squares: Floats
    largest: Floats
    freedom: Floats

    def of(self, sums: slice) -> SingleSums:
        """Return the contribution to some of the sums."""
        return SingleSums(*(getattr(self, each.name)[sums] for each in fields(self)))

    def plus(self, other: SingleSums) -> SingleSums:
        """Return the contribution to sums or differences of sums that share no run."""
        return SingleSums(
            self.variance + other.variance,
            self.gain + other.gain,
            self.squares + other.squares,
            np.maximum(self.largest, other.largest),
            np.minimum(self.freedom, other.freedom),
        )


@dataclass(frozen=True)
class _Singles:
    """Variances from kinds of units that one run has alone, (kinds,) each."""

    run: Ints
    variance: Floats
    sign: Floats
    degrees_of_freedom: Floats

    def sums(self, weights: Floats) -> SingleSums:
        """Return the contribution to weighted sums; weights are (sums, runs)."""
        variances = self.variance * np.square(weights[:, self.run])
        gains = np.where(self.sign > 0, variances, 0.0)
        return SingleSums(
            (self.sign * variances).sum(axis=1),
            gains.sum(axis=1),
            (np.square(gains) / self.degrees_of_freedom).sum(axis=1),
            gains.max(axis=1, initial=0.0),
            np.where(gains > 0, self.degrees_of_freedom, np.inf).min(axis=1, initial=np.inf),
        )


@dataclass(frozen=True)
class Joint:
    """Joint error of one metric in several runs.

    Attributes:
        parts: influences of units that several runs share.
        singles: the remaining ones; boards of many runs have one for each run.
        runs: number of runs.
    """

    parts: tuple[_Part, ...]
    singles: _Singles
    runs: int

    @classmethod
    def of(cls, influences: Sequence[Influence]) -> Joint:
        """Align the units of the runs."""
        kinds: dict[_Key, dict[int, pd.Series[float]]] = {}
        for place, influence in enumerate(influences):
            for component in influence.components:
                key = (component.kind, component.sign, component.degrees_of_freedom)
                kinds.setdefault(key, {})[place] = component.values
        alone = {key: columns for key, columns in kinds.items() if len(columns) == 1}
        parts: list[_Part] = []
        for (kind, sign, known), columns in kinds.items():
            if len(columns) == 1:
                continue
            table = pd.concat(columns, axis=1).reindex(columns=range(len(influences)))
            for members, values in _by_membership(table):
                freedom = float(max(len(values) - 1, 1)) if known is None else known
                parts.append(_Part(kind, sign, members, values, freedom))
        return cls(tuple(parts), _singles(alone), len(influences))

    def error(self, weights: Floats) -> Error:
        """Return the error of a weighted sum of the values of the runs."""
        standard, freedom = self.errors(weights[None])
        return Error(float(standard[0]), float(freedom[0]))

    def errors(self, weights: Floats) -> tuple[Floats, Floats]:
        """Return standard errors and degrees of freedom (sums,) of weighted sums; weights are (sums, runs)."""
        return self.errors_of(self.influences(weights), self.singles.sums(weights))

    def influences(self, weights: Floats) -> list[Floats]:
        """Return the influences (labels, sums) on weighted sums for each part."""
        return [part.values @ weights.T for part in self.parts]

    def errors_of(self, influences: Sequence[Floats], single: SingleSums) -> tuple[Floats, Floats]:
        """Return standard errors and degrees of freedom (sums,) of sums.

        Args:
            influences: influences (labels, sums) on the sums for each part.
            single: contribution of the units that one run has alone.
        """
        shape = (len(self.parts), len(single.variance))
        variances = np.array([np.square(values).sum(axis=0) for values in influences]).reshape(shape)
        signs = np.array([part.sign for part in self.parts], dtype=np.float64)[:, None]
        sizes = np.array([part.degrees_of_freedom for part in self.parts], dtype=np.float64)[:, None]
        gains = np.where(signs > 0, variances, 0.0)
        largest = np.maximum(gains.max(axis=0, initial=0.0), single.largest)
        total = np.maximum((signs * variances).sum(axis=0) + single.variance, largest)
        with np.errstate(divide="ignore", invalid="ignore"):
            if (signs < 0).any() or (self.singles.sign < 0).any():
                smallest = np.where(gains > 0, sizes, np.inf).min(axis=0, initial=np.inf)
                freedom = np.minimum(smallest, single.freedom)
            else:
                squares = (np.square(gains) / sizes).sum(axis=0) + single.squares
                freedom = np.square(gains.sum(axis=0) + single.gain) / squares
        exact = largest == 0
        return np.where(exact, 0.0, np.sqrt(total)), np.where(exact, np.inf, freedom)

    def shared(self, first: int, second: int) -> int:
        """Return the largest number of units of one kind that two runs share."""
        counts: dict[str, int] = {}
        for part in self.parts:
            if part.members[first] and part.members[second] and part.sign > 0:
                counts[part.kind] = counts.get(part.kind, 0) + len(part.values)
        return max(counts.values(), default=0)

    def covariance(self) -> Floats:
        """Return the covariance matrix of the values of the runs."""
        own = self.singles
        total = np.diag(np.bincount(own.run, own.sign * own.variance, self.runs).astype(np.float64))
        for part in self.parts:
            total += part.sign * (part.values.T @ part.values)
        return total


def _singles(kinds: Mapping[_Key, Mapping[int, pd.Series[float]]]) -> _Singles:
    """Sum the squares of the influences of each kind of unit."""
    runs = [run for columns in kinds.values() for run in columns]
    values = [column.to_numpy(dtype=np.float64) for columns in kinds.values() for column in columns.values()]
    sizes = [
        float(max(len(own) - 1, 1)) if known is None else known
        for (_, _, known), own in zip(kinds, values, strict=True)
    ]
    return _Singles(
        np.array(runs, np.int64),
        np.array([float(np.square(own).sum()) for own in values]),
        np.array([sign for _, sign, _ in kinds], np.float64),
        np.array(sizes),
    )


def influence(metric: str, run: Run) -> Influence | None:
    """Return the influences on a metric of a run; None if the run does not determine them."""
    restored = per_image_metric(metric, run)
    return _group_influence(metric, run) if restored is None else _image_influence(metric, run, restored)


def _group_influence(metric: str, run: Run) -> Influence | None:
    """Influences of the groups that were left out of the generated and of the reference set together.

    Runs share groups if they have the same reference units; without a reference, if they have the same generated units.
    """
    table = run.leave_out
    rows = None if table is None else table[table["metric"] == metric]
    if rows is None or len(rows) < 2:
        return None
    shared = rows["reference_units"].iloc[0] or rows["generated_units"].iloc[0]
    values = jackknife_influences(rows.set_index("group")["value"].astype(float))
    if values is None:
        return None
    kind = f"{run.seed} {len(rows)} {shared}"
    return Influence((Component(kind, values),), "groups of units")


def _image_influence(metric: str, run: Run, restored: PerImageMetric) -> Influence | None:
    """Influences of images, or of the people, sources and targets that they show."""
    rows = restored.rows.dropna()
    if len(rows) < 2 or run.per_image is None:
        return None
    resampled = run.metrics[metric].resampled
    units = sampling_units(run.per_image, resampled).of(rows.index)
    terms = None
    if restored.terms is not None:
        terms = pd.Series(restored.terms(rows.to_numpy(dtype=np.float64)), index=rows.index)
        recorded = run.metrics[metric].value
        terms = terms if recorded is not None and math.isclose(terms.mean(), recorded, rel_tol=1e-6) else None
    components = []
    for kind, labels, sign in units.components():
        values = _leave_out(restored, rows, labels) if terms is None else _linear(terms, labels)
        if values is None:
            return None
        components.append(Component(kind, values, sign))
    return Influence(tuple(components), units.name, terms, units.coarsest)


def _linear(terms: pd.Series[float], labels: pd.Series[str]) -> pd.Series[float] | None:
    """Influences on a mean: Σ (x − mean) / n over each unit."""
    sums = (terms - terms.mean()).groupby(labels.to_numpy()).sum() / len(terms)
    return None if len(sums) < 2 else sums * math.sqrt(len(sums) / (len(sums) - 1))


def _leave_out(
    restored: PerImageMetric, rows: pd.DataFrame, labels: pd.Series[str]
) -> pd.Series[float] | None:
    """Influences on any function of the images, from its values without each unit or group of units."""
    names = labels.to_numpy()
    if len(set(names)) > MOST_GROUPS:
        names = np.array([str(zlib.crc32(str(name).encode()) % MOST_GROUPS) for name in names])
    groups = sorted(set(names))
    if len(groups) < 2:
        return None
    numbers = rows.to_numpy(dtype=np.float64)
    without = np.array([restored.on(numbers[names != group]) for group in groups])
    return jackknife_influences(pd.Series(without, index=groups))


def jackknife_influences(without: pd.Series[float]) -> pd.Series[float] | None:
    """Return influences from the values of a metric without each unit; None if one is not finite."""
    count = len(without)
    if count < 2 or not np.isfinite(without.to_numpy(dtype=np.float64)).all():
        return None
    return (without.mean() - without) * math.sqrt((count - 1) / count)


def _by_membership(table: pd.DataFrame) -> list[tuple[tuple[bool, ...], Floats]]:
    """Split labels by the runs that have them; labels of one part vary in the same runs."""
    members, patterns = np.unique(table.notna().to_numpy(), axis=0, return_inverse=True)
    values = table.fillna(0.0).to_numpy(dtype=np.float64)
    return [(tuple(map(bool, runs)), values[patterns.ravel() == place]) for place, runs in enumerate(members)]
