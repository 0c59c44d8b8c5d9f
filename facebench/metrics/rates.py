"""Error rates of genuine and impostor similarities at the observed thresholds.

    FMR(t) = |{impostor scores >= t}| / m,   FNMR(t) = |{genuine scores < t}| / n

`Scores` keeps the sorted scores, `Curve` the distinct scores with their weights.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from facebench.metrics.arrays import Array, Floats, Ints, vector


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold with its two error rates, as fractions."""

    fnmr: float
    fmr: float
    threshold: float


REJECT_ALL = OperatingPoint(fnmr=1.0, fmr=0.0, threshold=float("inf"))
"""The threshold above all scores, which rejects every pair (Hanley and McNeil 1982)."""


@dataclass(frozen=True)
class Spread:
    """Count, mean and population standard deviation of one list of scores."""

    count: int
    mean: float
    std: float


Condition = Callable[[OperatingPoint], bool]
"""A condition that is false up to some threshold and true from there on."""


class Rates(Protocol):
    """Error rates at the observed thresholds."""

    def first(self, condition: Condition) -> OperatingPoint:
        """The lowest threshold where the condition holds; the threshold +∞ where it holds at no observed one."""
        ...

    def before(self, threshold: float) -> OperatingPoint | None:
        """The highest threshold below the given one."""
        ...

    def area(self) -> float:
        """Area under the ROC by trapezoids between thresholds, P(genuine > impostor) + P(equal) / 2."""
        ...


@dataclass(frozen=True)
class Scores:
    """Error rates of two sorted lists of scores, computed only at the thresholds asked for.

    Attributes:
        genuine: (n,) ascending.
        impostor: (m,) ascending.
    """

    genuine: Floats
    impostor: Floats

    @classmethod
    def of(cls, genuine: Array, impostor: Array) -> Scores:
        """Check and sort two lists of scores."""
        return cls(np.sort(vector(genuine, "genuine", 1)), np.sort(vector(impostor, "impostor", 1)))

    def at(self, threshold: float) -> OperatingPoint:
        """The rates at any threshold."""
        below = int(np.searchsorted(self.genuine, threshold))
        accepted = len(self.impostor) - int(np.searchsorted(self.impostor, threshold))
        return OperatingPoint(below / len(self.genuine), accepted / len(self.impostor), threshold)

    def first(self, condition: Condition) -> OperatingPoint:
        """See `Rates`."""
        reached = [
            t for side in (self.genuine, self.impostor) if (t := self._first(side, condition)) is not None
        ]
        return self.at(min(reached)) if reached else REJECT_ALL

    def _first(self, side: Floats, condition: Condition) -> float | None:
        place = bisect_left(range(len(side)), True, key=lambda k: condition(self.at(float(side[k]))))
        return float(side[place]) if place < len(side) else None

    def before(self, threshold: float) -> OperatingPoint | None:
        """See `Rates`."""
        places = [(side, int(np.searchsorted(side, threshold))) for side in (self.genuine, self.impostor)]
        below = [float(side[place - 1]) for side, place in places if place > 0]
        return self.at(max(below)) if below else None

    def area(self) -> float:
        """See `Rates`."""
        wins = comparisons_won(self.genuine, self.impostor)
        return wins / (2 * len(self.genuine) * len(self.impostor))

    def spreads(self) -> tuple[Spread, Spread]:
        """Spread of the genuine and of the impostor scores."""
        return _spread(self.genuine), _spread(self.impostor)


def comparisons_won(genuine: Floats, impostor: Floats) -> int:
    """2 · (pairs in which the genuine score is higher) + (ties), for sorted scores."""
    few, many = (genuine, impostor) if len(genuine) <= len(impostor) else (impostor, genuine)
    below = int(np.searchsorted(many, few, "left").sum()) + int(np.searchsorted(many, few, "right").sum())
    return below if few is genuine else 2 * len(genuine) * len(impostor) - below


@dataclass(frozen=True)
class Curve:
    """Error rates of distinct scores with weights.

    Attributes:
        thresholds: (t,) distinct scores, ascending.
        genuine: (t,) number or weight of the genuine scores equal to each threshold.
        impostor: (t,) likewise.
    """

    thresholds: Floats
    genuine: Floats | Ints
    impostor: Floats | Ints

    @classmethod
    def of(cls, genuine: Array, impostor: Array) -> Curve:
        """The curve of two lists of scores."""
        sides = [
            np.unique(vector(s, name, 1), return_counts=True)
            for s, name in ((genuine, "genuine"), (impostor, "impostor"))
        ]
        thresholds = np.union1d(sides[0][0], sides[1][0])
        weights = []
        for values, counts in sides:
            weights.append(np.zeros(len(thresholds), dtype=np.int64))
            weights[-1][np.searchsorted(thresholds, values)] = counts
        return cls(thresholds, *weights)

    @cached_property
    def fmr(self) -> Floats:
        """FMR at every threshold."""
        below = np.cumsum(self.impostor)
        return np.asarray((below[-1] - below + self.impostor) / below[-1])

    @cached_property
    def fnmr(self) -> Floats:
        """FNMR at every threshold."""
        below = np.cumsum(self.genuine)
        return np.asarray((below - self.genuine) / below[-1])

    def point(self, place: int) -> OperatingPoint:
        """The rates at one threshold."""
        return OperatingPoint(float(self.fnmr[place]), float(self.fmr[place]), float(self.thresholds[place]))

    def first(self, condition: Condition) -> OperatingPoint:
        """See `Rates`."""
        size = len(self.thresholds)
        place = bisect_left(range(size), True, key=lambda k: condition(self.point(k)))
        return self.point(place) if place < size else REJECT_ALL

    def before(self, threshold: float) -> OperatingPoint | None:
        """See `Rates`."""
        place = int(np.searchsorted(self.thresholds, threshold))
        return self.point(place - 1) if place > 0 else None

    def area(self) -> float:
        """See `Rates`."""
        fmr, fnmr = np.append(self.fmr, REJECT_ALL.fmr), np.append(self.fnmr, REJECT_ALL.fnmr)
        heights = 1.0 - (fnmr[1:] + fnmr[:-1]) / 2
        return float(-(np.diff(fmr) * heights).sum())


def _spread(ordered: Floats) -> Spread:
    mean = float(ordered.mean())
    if ordered[0] == ordered[-1]:
        return Spread(len(ordered), mean, 0.0)
    centred = ordered - mean
    return Spread(len(ordered), mean, float(np.sqrt(centred @ centred / len(ordered))))
