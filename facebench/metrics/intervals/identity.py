"""Intervals of verification statistics: people vary independently, pairs of images do not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from facebench.core.errors import InputError
from facebench.metrics.arrays import Array, Floats, Ints
from facebench.metrics.interval import Interval, jackknifed, numbers
from facebench.metrics.intervals.bca import bca_interval
from facebench.metrics.intervals.pair_variance import pair_mean_error, t_reach
from facebench.metrics.intervals.shares import share_intervals
from facebench.metrics.pairs import BLOCK, Gallery, PairScores, Tile
from facebench.metrics.rates import Curve, Spread
from facebench.metrics.units import GROUPS, Factor, Units
from facebench.metrics.verification import Summary, summarise, verification

_FINE = 2**17
"""Most thresholds kept for resampling; beyond, neighbouring scores share one: about 1e-5 in a rate."""
_PER_UNIT = 2**13
"""Bins per unit of score in `jackknife_identities`."""


def bootstrap_identities(
    scores: PairScores,
    *,
    resamples: int = 500,
    seed: int = 0,
    level: float = 0.95,
    summary: Summary = summarise,
) -> dict[str, Interval]:
    """BCa bootstrap intervals over identities of all verification statistics.

    An identity drawn w times gives its genuine pairs the weight w, and its impostor pairs with an identity drawn v
    times the weight w v; a person and a copy of the same person make no pair. The mean and the standard deviation of
    impostor scores use the variance components of people and of pairs instead (`pair_variance`). Time grows with
    resamples x pairs (about 0.1 s for 10^7 pairs): for many more use `jackknife_identities`.

    Args:
        scores: genuine and impostor scores with the identities in them, from `pair_scores`.
        resamples: number of resamples.
        seed: seed of the draws.
        level: nominal coverage.
        summary: computes the statistics; `id_booth_summary` takes ID-Booth's operating points.

    Returns:
        An interval for every statistic of `Verification` that is defined for these scores, by field name. Resamples
        without any genuine or impostor pair are left out and counted in the note.

    Raises:
        InputError: no genuine or no impostor pair.

    Source:
        Efron 1987 (BCa); Bolle, Ratha and Pankanti 2004 (subset bootstrap); weights of impostor pairs from the vertex
        bootstrap of Snijders and Borgatti 1999.

    Example:
        >>> from facebench.metrics import pair_scores
        >>> points = np.random.default_rng(0).standard_normal((60, 8))
        >>> intervals = bootstrap_identities(pair_scores(points, np.arange(60) % 12), resamples=50)
        >>> 0.0 <= intervals["eer"].low < intervals["eer"].high <= 1.0
        True
    """
    if len(scores.genuine) == 0 or len(scores.impostor) == 0:
        raise InputError("verification needs genuine and impostor pairs; one of the lists is empty.")
    table = _Table.of(scores)
    rng = np.random.default_rng(seed)
    draws = [table.statistics(_multiplicities(rng, table.identities), summary) for _ in range(resamples)]
    value = table.statistics(np.ones(table.identities), summary)
    leave_out = [table.statistics(weights, summary) for weights in _without_groups(table, seed)]
    assert value is not None
    units = table.units()
    found = {
        name: replace(
            bca_interval(
                number,
                values_of(draws, name),
                [values_of(leave_out, name)],
                level,
                units.effective,
                units.note,
            ),
            unit="identity",
            leave_out=tuple(values_of(leave_out, name)),
        )
        for name, number in value.items()
    }
    found |= _impostor_spread(scores, found, level)
    return share_intervals(verification, value, found, _images_by_rate(value, len(units.factors[0].codes)))


def _images_by_rate(value: Mapping[str, float], images: int) -> dict[str, float]:
    """Number of images for the rates at a threshold; the AUC averages over all pairs and needs no such bound."""
    return {name: float(images) for name in value if name != "auc"}


def values_of(results: Sequence[dict[str, float] | None], name: str) -> list[float]:
    """One statistic of all resamples; NaN for resamples without pairs of one kind."""
    return [float("nan") if result is None else result.get(name, float("nan")) for result in results]


def _without_groups(table: _Table, seed: int) -> Iterator[Floats]:
    """Weights of the identities without each group in turn."""
    groups = min(GROUPS, table.identities)
    dealt = np.random.default_rng([seed, 0]).permutation(table.identities) % groups
    return ((dealt != group) * 1.0 for group in range(groups))


def _impostor_spread(scores: PairScores, found: dict[str, Interval], level: float) -> dict[str, Interval]:
    """Intervals of the mean and of the standard deviation of impostor scores from variance components."""
    mean, std = float(scores.impostor.mean()), float(scores.impostor.std())
    centred = scores.impostor - mean
    influence = {"impostor_mean": (mean, scores.impostor)}
    if std > 0:
        influence["impostor_std"] = (std, (centred**2 - std**2) / (2 * std))
    intervals = {}
    for name, (value, terms) in influence.items():
        error = pair_mean_error(terms, scores.impostor_identities) if name in found else None
        if error is not None:
            reach = t_reach(error, round(found[name].units), level)
            intervals[name] = replace(
                found[name], low=value - reach, high=value + reach, method="pair_variance", resamples=0
            )
    return intervals


def _multiplicities(rng: np.random.Generator, identities: int) -> Floats:
    return np.bincount(rng.integers(identities, size=identities), minlength=identities).astype(np.float64)


@dataclass(frozen=True)
class _Table:
    """Pairs sorted into thresholds once, to be weighted again and again.

    Attributes:
        thresholds: (t,) ascending scores, the distinct ones or an even choice of them.
        genuine: (n,) threshold of each genuine pair.
        impostor: (m,) threshold of each impostor pair.
        own: (n,) identity of each genuine pair.
        left: (m,) first identity of each impostor pair.
        right: (m,) second identity.
        identities: how many there are.
    """

    thresholds: Floats
    genuine: Ints
    impostor: Ints
    own: Ints
    left: Ints
    right: Ints
    identities: int

    @classmethod
    def of(cls, scores: PairScores) -> _Table:
        thresholds = np.unique(np.concatenate([scores.genuine, scores.impostor]))
        thresholds = thresholds[:: len(thresholds) // _FINE + 1]
        pairs = scores.impostor_identities
        everyone = np.concatenate([scores.genuine_identity, pairs[:, 0], pairs[:, 1]])
        _, codes = np.unique(everyone, return_inverse=True)
        own, left, right = np.split(codes, np.cumsum([len(scores.genuine), len(pairs)]))
        return cls(
            thresholds,
            np.searchsorted(thresholds, scores.genuine, "right") - 1,
            np.searchsorted(thresholds, scores.impostor, "right") - 1,
            own,
            left,
            right,
            int(codes.max()) + 1,
        )

    def units(self) -> Units:
        """Identities as resampling units, weighted by their pairs of images."""
        images = np.sqrt(2.0 * np.bincount(self.own, minlength=self.identities) + 0.25) + 0.5
        codes = np.repeat(np.arange(self.identities), np.maximum(np.rint(images), 1).astype(np.int64))
        return Units((Factor("identity", codes, tuple(str(i) for i in range(self.identities))),))

    def statistics(self, weights: Floats, summary: Summary) -> dict[str, float] | None:
        """All statistics with each identity counted as often as its weight says; None without pairs."""
        size = len(self.thresholds)
        genuine = np.bincount(self.genuine, weights[self.own], minlength=size)
        impostor = np.bincount(self.impostor, weights[self.left] * weights[self.right], minlength=size)
        return statistics_of_weights(self.thresholds, genuine, impostor, len(self.impostor), summary)


def statistics_of_weights(
    thresholds: Floats,
    genuine: Floats | Ints,
    impostor: Floats | Ints,
    impostor_count: int,
    summary: Summary = summarise,
) -> dict[str, float] | None:
    """Verification statistics of weighted thresholds; None without pairs of one kind.

    `impostor_count` decides which FMRs can be resolved.
    """
    if not genuine.any() or not impostor.any():
        return None
    used = genuine + impostor > 0
    curve = Curve(thresholds[used], genuine[used], impostor[used])
    sides = (_spread(thresholds, genuine, len(thresholds)), _spread(thresholds, impostor, impostor_count))
    return numbers(summary(curve, *sides))


def _spread(thresholds: Floats, weights: Floats | Ints, count: int) -> Spread:
    mean = float(np.average(thresholds, weights=weights))
    return Spread(count, mean, float(np.sqrt(np.average(np.square(thresholds - mean), weights=weights))))


def jackknife_identities(
    embeddings: Array,
    identities: Sequence[object] | Array,
    reference: Array | None = None,
    reference_identities: Sequence[object] | Array | None = None,
    *,
    groups: int = GROUPS,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Interval]:
    """Delete-a-group jackknife over identities of the verification statistics over all pairs.

    Identities are dealt at random to groups. One pass over all pairs counts their scores in bins of 1/8192
    for every two groups; leaving a group out is then a subtraction.

    Args:
        embeddings: (n, d) as in `blocked_verification`.
        identities: (n,) likewise.
        reference: (m, d) likewise.
        reference_identities: (m,) likewise; an identity in both sets is left out of both.
        groups: number of groups of identities, at most half of the identities.
        seed: seed of the dealing.
        level: nominal coverage.

    Returns:
        An interval for every statistic, by field name.

    Raises:
        InputError: as `blocked_verification`; fewer than four identities.

    Source:
        Kott 2001, as for `jackknife`.

    Example:
        >>> points = np.random.default_rng(0).standard_normal((60, 8))
        >>> intervals = jackknife_identities(points, np.arange(60) % 12, groups=6)
        >>> intervals["eer"].method
        'jackknife'
    """
    gallery, groups = _dealt(embeddings, identities, reference, reference_identities, groups, seed)
    count = len(gallery.names)
    if groups < 2 or min(gallery.counts()) == 0:
        raise InputError(f"{count} identities are too few for an interval over them, or pairs are missing.")
    genuine, impostor = _Histogram(groups), _Histogram(groups)
    for a, b, part in _parts(gallery, BLOCK):
        for side, scores in zip((genuine, impostor), part.split(), strict=True):
            side.add(a, b, scores)
    pairs = int(impostor.total.sum())
    value = statistics_of_weights(_EDGES, genuine.total, impostor.total, pairs)
    leave_out = [
        statistics_of_weights(_EDGES, genuine.total - own, impostor.total - other, pairs)
        for own, other in zip(genuine.touched, impostor.touched, strict=True)
    ]
    if value is None or None in leave_out:
        raise InputError("without one group of identities no pairs are left: give more identities.")
    units = Units.of(identities, kinds=["identity"])
    found = {
        name: replace(
            jackknifed(number, values_of(leave_out, name), level),
            unit="identity",
            note=units.note,
            units=units.effective,
        )
        for name, number in value.items()
    }
    return share_intervals(verification, value, found, _images_by_rate(value, len(identities)))


_EDGES: Floats = (np.arange(2 * _PER_UNIT + 3) - _PER_UNIT - 1) / _PER_UNIT
"""Lower edges of the bins of a score; cosines may leave [-1, 1] by rounding."""


class _Histogram:
    """Counts of binned scores: of all pairs, and of the pairs in which each group has a part."""

    def __init__(self, groups: int) -> None:
        self.total = np.zeros(len(_EDGES), dtype=np.int64)
        self.touched = np.zeros((groups, len(_EDGES)), dtype=np.int64)

    def add(self, a: int, b: int, scores: Floats) -> None:
        bins = np.floor(scores * _PER_UNIT).astype(np.int64) + _PER_UNIT + 1
        counts = np.bincount(bins, minlength=len(_EDGES))
        self.total += counts
        self.touched[a] += counts
        if a != b:
            self.touched[b] += counts


def _dealt(
    embeddings: Array,
    identities: Sequence[object] | Array,
    reference: Array | None,
    reference_identities: Sequence[object] | Array | None,
    groups: int,
    seed: int,
) -> tuple[Gallery, int]:
    """The gallery with its identities ordered by group: each one's name starts with its group and a slash."""
    others = [] if reference_identities is None else list(reference_identities)
    names = sorted({str(name) for name in [*identities, *others]})
    groups = min(groups, len(names) // 2)
    if groups < 1:
        raise InputError(f"{len(names)} identities are too few for an interval over them.")
    dealt = np.random.default_rng([seed, 0]).permutation(len(names)) % groups
    label = {name: f"{group:09d}/{name}" for name, group in zip(names, dealt, strict=True)}
    own = [label[str(name)] for name in identities]
    other = None if reference_identities is None else [label[str(name)] for name in others]
    return Gallery.of(embeddings, own, reference, other), groups


def _parts(gallery: Gallery, block: int) -> Iterator[tuple[int, int, Tile]]:
    """Go through all pairs in parts of tiles that concern one group of rows and one group of columns."""
    group_of = np.array([int(name.partition("/")[0]) for name in gallery.names])
    for tile in gallery.tiles(block):
        for a, rows in _runs(group_of[tile.rows]):
            for b, columns in _runs(group_of[tile.columns]):
                if not tile.triangle or a <= b:
                    triangle = tile.triangle and a == b
                    scores = tile.scores[rows, columns]
                    yield a, b, Tile(scores, tile.rows[rows], tile.columns[columns], triangle)


def _runs(groups: Ints) -> Iterator[tuple[int, slice]]:
    """Stretches of equal groups in an ascending list."""
    values, starts = np.unique(groups, return_index=True)
    ends = np.append(starts[1:], len(groups))
    for group, start, end in zip(values.tolist(), starts.tolist(), ends.tolist(), strict=True):
        yield group, slice(start, end)
