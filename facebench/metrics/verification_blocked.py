"""Verification over all pairs of large sets, exactly, without storing the scores.

The scores are computed twice, in the same tiles and so to the same last bit. The first pass counts them in fine bins.
The counts determine the few bins that contain the equal error rate and the target FMRs; the second pass collects the
distinct scores of those bins only. In all other bins the lower edge is the threshold. Its error rates are exact too:
bin edges are multiples of a power of two, so binning a score does not round.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from facebench.core.errors import InputError
from facebench.metrics.arrays import Array, Floats, Ints
from facebench.metrics.det_curve import DetCurve, det_of, thin
from facebench.metrics.pairs import BLOCK, Gallery
from facebench.metrics.rates import Curve, Spread
from facebench.metrics.verification import Verification, summarise

_SCALE = 2**20
"""Bins per unit of score."""
_LAST = _SCALE + 1
"""Index of the highest bin: cosines may exceed 1 by rounding."""
_BINS = 2 * _LAST + 1
_MOST_DISTINCT = 2**23
"""Most distinct scores in the second pass: 192 MB with their counts."""
_MOST_GENUINE = 2**24
"""Most genuine scores stored for the exact area under the curve: 128 MB."""
_CHUNK = 2**15
_TARGETS = (0.01, 0.001, 0.0001, 0.0)


@dataclass(frozen=True)
class BlockedVerification:
    """Verification over all pairs, and the curve for DET and ROC plots.

    Attributes:
        statistics: as `verification` returns for the stored scores.
        curve: error rates at about 2000 thresholds, each exact.
    """

    statistics: Verification
    curve: DetCurve


def blocked_verification(
    embeddings: Array,
    identities: Sequence[object] | Array,
    reference: Array | None = None,
    reference_identities: Sequence[object] | Array | None = None,
    *,
    block: int = BLOCK,
) -> BlockedVerification:
    """Verification over every pair among a set, or of its full product with a reference set.

    Equal to `verification` of `pair_scores` with the same block: error rates, thresholds and counts exactly; means,
    deviations and the area under the curve up to the rounding of sums. Memory does not grow with the number of
    pairs: at most a few hundred MB in addition to the embeddings.

    Args:
        embeddings: (n, d), any norm but 0.
        identities: (n,) identity of each row, compared as strings.
        reference: (m, d) embeddings of a second set.
        reference_identities: (m,) likewise.
        block: rows and columns of a tile of scores.

    Returns:
        The statistics and the curve. With more than 2^24 genuine pairs `auc` is that of the binned scores,
        and `notes` states its largest possible error.

    Raises:
        InputError: as `pair_scores`; no genuine or no impostor pair; scores so concentrated that millions of
            distinct ones lie within a millionth of an operating point.

    Example:
        >>> import numpy as np
        >>> points = np.random.default_rng(0).standard_normal((40, 3))
        >>> blocked_verification(points, np.arange(40) % 4).statistics.impostor_count
        600
    """
    gallery = Gallery.of(embeddings, identities, reference, reference_identities)
    genuine_count, impostor_count = gallery.counts()
    if genuine_count == 0 or impostor_count == 0:
        raise InputError(
            f"{genuine_count} genuine and {impostor_count} impostor pairs: verification needs both. "
            "Give at least two images of one identity and two identities."
        )
    first = _first_pass(gallery, block, keep=genuine_count <= _MOST_GENUINE)
    critical = _critical(first.genuine.histogram, first.impostor.histogram)
    second = _second_pass(gallery, block, critical, first.kept)
    curve = _merge(first, second, critical)
    result = summarise(curve, first.genuine.spread(), first.impostor.spread())
    return BlockedVerification(_with_area(result, first, second), _points(curve))


@dataclass
class _Side:
    """Counts and moments of the genuine or impostor scores from the first pass."""

    histogram: Ints = field(default_factory=lambda: np.zeros(_BINS, dtype=np.int64))
    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    low: float = np.inf
    high: float = -np.inf

    def add(self, scores: Floats) -> None:
        if len(scores) == 0:
            return
        bins = np.concatenate([_bins(chunk) for chunk in _chunks(scores)])
        if len(bins) > _BINS // 16:
            self.histogram += np.bincount(bins, minlength=_BINS)
        else:
            np.add.at(self.histogram, bins, 1)
        mean = float(scores.mean())
        centred = scores - mean
        total, step = self.count + len(scores), mean - self.mean
        self.squares += float(centred @ centred) + step**2 * self.count * len(scores) / total
        self.mean += step * len(scores) / total
        self.count = total
        self.low, self.high = min(self.low, float(scores.min())), max(self.high, float(scores.max()))

    def spread(self) -> Spread:
        std = 0.0 if self.low == self.high else float(np.sqrt(self.squares / self.count))
        return Spread(self.count, self.mean, std)


@dataclass(frozen=True)
class _First:
    genuine: _Side
    impostor: _Side
    kept: Floats | None
    """All genuine scores, sorted; None when there are too many."""


@dataclass(frozen=True)
class _Second:
    genuine: tuple[Floats, Ints]
    impostor: tuple[Floats, Ints]
    wins: int
    """2 · (genuine above impostor) + (ties), over impostors in bins that contain genuine scores too."""


def _bins(scores: Floats) -> Ints:
    scaled = scores * _SCALE
    return np.add(np.floor(scaled, out=scaled), _LAST, out=scaled).astype(np.int64)


def _chunks(scores: Floats) -> Iterator[Floats]:
    """Split a long list into parts that fit the cache while they are binned."""
    return (scores[start : start + _CHUNK] for start in range(0, len(scores), _CHUNK))


def _first_pass(gallery: Gallery, block: int, keep: bool) -> _First:
    genuine, impostor = _Side(), _Side()
    kept = []
    for tile in gallery.tiles(block):
        same, other = tile.split()
        genuine.add(same)
        impostor.add(other)
        if keep:
            kept.append(same)
    return _First(genuine, impostor, np.sort(np.concatenate(kept)) if keep else None)


def _critical(genuine: Ints, impostor: Ints) -> Array:
    """Bins that may contain a reported threshold: the filled ones on both sides of every crossing."""
    filled = np.flatnonzero(genuine + impostor)
    curve = Curve(filled.astype(np.float64), genuine[filled], impostor[filled])
    fmr, fnmr = curve.fmr, curve.fnmr
    critical = np.zeros(_BINS, dtype=bool)
    for reached in (fmr <= fnmr, *(fmr <= target for target in _TARGETS)):
        place = int(np.argmax(reached)) if reached[-1] else len(filled)
        critical[filled[max(0, place - 1) : place + 1]] = True
    return critical


def _second_pass(gallery: Gallery, block: int, critical: Array, kept: Floats | None) -> _Second:
    genuine, impostor = _Distinct(), _Distinct()
    mixed = np.zeros(_BINS, dtype=bool)
    if kept is not None:
        mixed[_bins(kept)] = True
    wins = 0
    lowest = (int(np.argmax(critical | mixed)) - _LAST) / _SCALE
    for tile in gallery.tiles(block):
        same, other = tile.split()
        genuine.add(same[critical[_bins(same)]])
        for chunk in _chunks(other):
            scores = chunk[chunk >= lowest]
            bins = _bins(scores)
            impostor.add(scores[critical[bins]])
            if kept is not None:
                wins += _wins(kept, scores[mixed[bins]])
    return _Second(genuine.merged(), impostor.merged(), wins)


def _wins(genuine: Floats, impostor: Floats) -> int:
    """Twice the number of pairs in which the genuine score is higher, plus the number of ties."""
    below = np.searchsorted(genuine, impostor, "left") + np.searchsorted(genuine, impostor, "right")
    return 2 * len(genuine) * len(impostor) - int(below.sum())


class _Distinct:
    """Distinct scores with their counts, merged whenever many have accumulated."""

    def __init__(self) -> None:
        self.scores: list[Floats] = []
        self.counts: list[Ints] = []
        self.waiting = 0

    def add(self, scores: Floats) -> None:
        if len(scores) == 0:
            return
        values, counts = np.unique(scores, return_counts=True)
        self.scores.append(values)
        self.counts.append(counts)
        self.waiting += len(values)
        if self.waiting > _MOST_DISTINCT:
            self._merge()
            if self.waiting > _MOST_DISTINCT // 2:
                raise InputError(
                    f"more than {_MOST_DISTINCT // 2} distinct scores lie within {1 / _SCALE:.0e} of one "
                    "operating point: the embeddings are nearly identical. Look for duplicates."
                )

    def _merge(self) -> None:
        values, places = np.unique(np.concatenate(self.scores), return_inverse=True)
        counts = np.zeros(len(values), dtype=np.int64)
        np.add.at(counts, places, np.concatenate(self.counts))
        self.scores, self.counts, self.waiting = [values], [counts], len(values)

    def merged(self) -> tuple[Floats, Ints]:
        if not self.scores:
            return np.empty(0), np.empty(0, dtype=np.int64)
        self._merge()
        return self.scores[0], self.counts[0]


def _merge(first: _First, second: _Second, critical: Array) -> Curve:
    """The curve of all scores: exact ones in critical bins, the lower edge of a bin for all others."""
    histograms = (first.genuine.histogram, first.impostor.histogram)
    coarse = np.flatnonzero((histograms[0] + histograms[1] > 0) & ~critical)
    edges = (coarse - _LAST) / _SCALE
    # Use the lowest score in place of its bin edge: it is a threshold that may be reported.
    edges[:1] = np.maximum(edges[:1], min(first.genuine.low, first.impostor.low))
    thresholds = np.unique(np.concatenate([edges, second.genuine[0], second.impostor[0]]))
    sides = []
    for histogram, (values, counts) in zip(histograms, (second.genuine, second.impostor), strict=True):
        weights = np.zeros(len(thresholds), dtype=np.int64)
        weights[np.searchsorted(thresholds, edges)] = histogram[coarse]
        weights[np.searchsorted(thresholds, values)] += counts
        sides.append(weights)
    return Curve(thresholds, sides[0], sides[1])


def _with_area(result: Verification, first: _First, second: _Second) -> Verification:
    """Replace the area under the curve by the exact one, or note the largest error of the binned one."""
    genuine, impostor = first.genuine.histogram, first.impostor.histogram
    pairs = first.genuine.count * first.impostor.count
    if first.kept is None:
        most = 0.5 * float((genuine.astype(np.float64) * impostor).sum()) / pairs
        note = f"from scores in bins of {1 / _SCALE:.1e}; off by at most {most:.1e}"
        return replace(result, notes={**result.notes, "auc": note})
    above = first.genuine.count - np.cumsum(genuine)
    alone = genuine == 0
    wins = second.wins + 2 * sum(int(a) * int(b) for a, b in _products(above[alone], impostor[alone]))
    return replace(result, auc=wins / (2 * pairs))


def _products(above: Ints, impostor: Ints) -> Iterator[tuple[int, int]]:
    """Group bins with the same number of genuine scores above, so that sums stay exact integers."""
    ends = np.flatnonzero(np.append(above[1:] != above[:-1], True))
    totals = np.diff(np.concatenate([[0], np.cumsum(impostor)[ends]]))
    return zip(above[ends].tolist(), totals.tolist(), strict=True)


def _points(curve: Curve) -> DetCurve:
    return thin(det_of(curve), 2000)
