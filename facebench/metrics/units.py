"""Resampling units: which rows vary together, and the groups that a jackknife leaves out.

Images of one person resemble each other, so n images of G people carry the information of fewer than n independent
images. An interval for new people resamples people, with all their images (Davison and Hinkley 1997, section 3.8;
Field and Welsh 2007). Where every source meets every target, both are resampled (Owen 2007).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from facebench.core.errors import InputError
from facebench.metrics.arrays import Array, Floats, Ints
from facebench.metrics.interval import FEW_UNITS

GROUPS = 50
"""Most groups of a jackknife. The width of an interval varies by 1 / sqrt(2 · groups) between seeds."""


@dataclass(frozen=True)
class Factor:
    """One kind of unit, such as the identities of a set of images.

    Attributes:
        kind: `image`, `identity`, `source` or `target`.
        codes: (n,) number of the unit of each row.
        names: name of each unit, in order of its number.
    """

    kind: str
    codes: Ints
    names: tuple[str, ...]

    @property
    def counts(self) -> Ints:
        """Number of rows of each unit."""
        return np.asarray(np.bincount(self.codes, minlength=len(self.names)))

    @property
    def effective(self) -> float:
        """Effective number of units, (Σ n_g)² / Σ n_g²: the number of units when all have equally many rows.

        Source:
            Kish 1965, "Survey Sampling", section 8.2.
        """
        counts = self.counts.astype(np.float64)
        return float(counts.sum() ** 2 / np.square(counts).sum())


@dataclass(frozen=True)
class Units:
    """Resampling units of the rows of one array.

    Attributes:
        factors: one factor, or two for a crossed design such as source × target.
    """

    factors: tuple[Factor, ...]

    @classmethod
    def of(cls, *labels: Sequence[object] | Array, kinds: Sequence[str] = ()) -> Units:
        """Units from one label per row, or from two labels per row for a crossed design.

        Raises:
            InputError: two labels of different length.

        Example:
            >>> Units.of(["a", "a", "b"], kinds=["identity"]).effective
            1.8
        """
        lengths = {len(each) for each in labels}
        if len(lengths) != 1:
            raise InputError(f"units: labels of one length are needed, got {sorted(lengths)}.")
        kinds = kinds or (["unit"] if len(labels) == 1 else ["source", "target"])
        factors = []
        for kind, each in zip(kinds, labels, strict=True):
            names, codes = np.unique([str(label) for label in each], return_inverse=True)
            factors.append(Factor(kind, np.asarray(codes), tuple(names.tolist())))
        return cls(tuple(factors))

    @classmethod
    def rows(cls, n: int) -> Units:
        """Units of n independent rows."""
        index = np.arange(n)
        return cls((Factor("image", index, tuple(str(i) for i in range(n))),))

    @property
    def kind(self) -> str:
        """What is resampled, such as `identity` or `source × target`."""
        return " × ".join(factor.kind for factor in self.factors)

    @property
    def effective(self) -> float:
        """Effective number of units; the smaller number in a crossed design."""
        return min(factor.effective for factor in self.factors)

    @property
    def is_crossed(self) -> bool:
        """Whether two factors are resampled."""
        return len(self.factors) > 1

    @property
    def note(self) -> str:
        """Note on few units; empty for enough units."""
        factor = min(self.factors, key=lambda each: each.effective)
        if factor.effective >= FEW_UNITS:
            return ""
        count = f"{factor.effective:.3g} effective" if len(set(factor.counts)) > 1 else str(len(factor.names))
        return f"interval from {count} {plural(factor.kind)}, below {FEW_UNITS}"

    @property
    def digest(self) -> str:
        """Digest of the names of the units; equal for two runs that have the same units."""
        names = "\n\n".join("\n".join((factor.kind, *factor.names)) for factor in self.factors)
        return hashlib.sha256(names.encode("utf-8", "surrogatepass")).hexdigest()[:16]

    def draw(self, rng: np.random.Generator) -> Floats:
        """Draw units with replacement and return the weight of each row.

        In a crossed design the weight of a row is the product of the weights of its two units (pigeonhole bootstrap,
        Owen 2007).
        """
        weights = np.ones(len(self.factors[0].codes))
        for factor in self.factors:
            size = len(factor.names)
            times = np.bincount(rng.integers(size, size=size), minlength=size)
            weights *= times[factor.codes]
        return weights

    def deal(self, groups: int, seed: int) -> list[Ints]:
        """Deal the units of each factor at random to groups; returns the group of each row, by factor.

        Equal units and equal seeds give equal groups, so that two runs with the same units can be paired by group.
        """
        dealt = []
        for place, factor in enumerate(self.factors):
            size = len(factor.names)
            order = np.random.default_rng([seed, place]).permutation(size) % min(groups, size)
            dealt.append(np.asarray(order[factor.codes]))
        return dealt


_OTHER_SIDE = 1000
"""Stream of random numbers of the reference side, so that equal units of both sides get different groups."""


def deal_sides(factors: Sequence[Factor], groups: int, seed: int) -> list[Ints]:
    """Deal the units of the generated and of the other sides to groups; returns the group of each row, by side.

    People who are on several sides get one group, because they vary together. Otherwise the groups of a side depend on
    its own units and on the seed alone, so that two runs with one reference share the groups of the reference.
    """
    names = [set(factor.names) for factor in factors]
    kinds = {factor.kind for factor in factors}
    everyone = sorted(set[str]().union(*names))
    shared = len(everyone) < sum(map(len, names))
    if len(kinds) == 1 and kinds != {"image"} and shared:
        order = np.random.default_rng([seed, 0]).permutation(len(everyone)) % groups
        group_of = dict(zip(everyone, order.tolist(), strict=True))
        return [np.array([group_of[name] for name in each.names])[each.codes] for each in factors]
    dealt = []
    for place, factor in enumerate(factors):
        order = np.random.default_rng([seed, place * _OTHER_SIDE]).permutation(len(factor.names)) % groups
        dealt.append(np.asarray(order[factor.codes]))
    return dealt


def plural(kind: str) -> str:
    """Plural of a kind of unit.

    Example:
        >>> plural("identity")
        'identities'
    """
    return "identities" if kind == "identity" else f"{kind}s"
