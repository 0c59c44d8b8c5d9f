"""Verification of a recogniser on a benchmark: accuracy, error rates and their intervals.

    accuracy  ten-fold accuracy, see `verification_protocol`
    EER       equal error rate over all pairs
    TAR@FAR   1 − FNMR at the lowest threshold whose false acceptance rate does not exceed FAR
    interval  95 % jackknife over the ten folds, which share no person

All images are embedded twice, with and without a mirror flip.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from facebench.metrics import verification
from facebench.metrics.interval import Interval, jackknifed
from facebench.metrics.tar_at_far import tar_at_far
from facebench.training.recognition.benchmarks import Pairs
from facebench.training.recognition.recogniser import embed
from facebench.training.recognition.verification_protocol import (
    FOLDS,
    FoldedAccuracy,
    flip_sum,
    fold_accuracies,
    pair_distances,
)

LEVEL = 0.95
METHOD = "jackknife over ten folds"
FARS = {"0.01": "fmr100", "0.001": "fmr1000", "0.0001": "fmr10000"}
"""False acceptance rate → name of the false non-match rate at a threshold that does not exceed it."""
LOWEST_FAR = 1e-4
MOST_RESOLVED = 10_000
"""Number of impostor pairs from which the lowest rate can be measured; LFW and its variants have 3,000."""


@dataclass(frozen=True, eq=False)
class Share:
    """A rate in [0, 1] with its interval; None when it cannot be measured."""

    value: float | None
    interval: Interval | None

    def plain(self) -> dict[str, Any]:
        """Convert to JSON types."""
        low, high = (None, None) if self.interval is None else (self.interval.low, self.interval.high)
        return {"value": self.value, "low": low, "high": high}


@dataclass(frozen=True, eq=False)
class BenchmarkScore:
    """Result of a recogniser on one benchmark.

    Attributes:
        name: name of the benchmark.
        pairs: number of pairs measured.
        digest: sha256 of the benchmark.
        folded: ten-fold accuracy; higher is better.
        accuracy: mean of the ten folds with an interval.
        eer: equal error rate over all pairs; lower is better.
        tar: true acceptance rate by false acceptance rate; higher is better. It is None when there are too few
            impostor pairs to measure the false acceptance rate.
        left_out: one message per pair with an unusable image.
        genuine: (g,) similarities of pairs of one person, for rates over several benchmarks.
        impostor: (i,) similarities of pairs of two people.
    """

    name: str
    pairs: int
    digest: str
    folded: FoldedAccuracy
    accuracy: Share
    eer: Share
    tar: dict[str, Share]
    left_out: tuple[str, ...]
    genuine: npt.NDArray[np.float64]
    impostor: npt.NDArray[np.float64]

    def plain(self) -> dict[str, Any]:
        """Convert to JSON types."""
        return {
            "pairs": self.pairs,
            "digest": self.digest,
            "accuracy": self.accuracy.plain(),
            "accuracy_std": self.folded.std,
            "fold_accuracy": self.folded.fold_accuracy.tolist(),
            "fold_threshold": [round(float(t), 2) for t in self.folded.fold_threshold],
            "eer": self.eer.plain(),
            "tar_at_far": {far: share.plain() for far, share in self.tar.items()},
            "interval": f"{LEVEL:.0%} {METHOD}",
            "left_out": list(self.left_out),
        }


def verify(network: nn.Module, size: int, pairs: Pairs) -> BenchmarkScore:
    """Measure a recogniser on a benchmark.

    The jackknife leaves out one fold at a time. The folds share no person, so it resamples people, not pairs.

    Args:
        network: backbone in evaluation mode.
        size: pixels per side of its input.
        pairs: the benchmark.

    Raises:
        InputError: there are fewer pairs than folds, or an embedding is not finite.
    """
    plain, mirrored = (embed(network, crops, size) for crops in (pairs.crops, pairs.crops[:, :, ::-1]))
    return score(pairs, pair_distances(flip_sum(plain, mirrored)))


def score(pairs: Pairs, distances: npt.NDArray[np.float64]) -> BenchmarkScore:
    """Compute accuracy and error rates from the squared Euclidean distances (n,) of the pairs."""
    folded = fold_accuracies(distances, pairs.same)
    replicates = [float(np.delete(folded.fold_accuracy, fold).mean()) for fold in range(FOLDS)]
    accuracy = Share(folded.accuracy, _interval(folded.accuracy, replicates))
    rates = {name: _rate_with_interval(name, distances, pairs.same) for name in ("eer", *FARS.values())}
    tar = {far: _complement(rates[name]) for far, name in FARS.items()}
    return BenchmarkScore(
        pairs.name,
        len(pairs.same),
        pairs.digest,
        folded,
        accuracy,
        rates["eer"],
        tar,
        pairs.left_out,
        -distances[pairs.same],
        -distances[~pairs.same],
    )


def pooled_tar(scores: Sequence[BenchmarkScore]) -> float | None:
    """True acceptance rate at FAR 1e-4 over the pairs of several benchmarks with one threshold; higher is better.

    None with fewer than 10,000 impostor pairs. The four test sets of ID-Booth have 12,500.
    """
    genuine, impostor = (
        np.concatenate([getattr(score, part) for score in scores]) for part in ("genuine", "impostor")
    )
    if len(impostor) < MOST_RESOLVED or not len(genuine):
        return None
    return tar_at_far(genuine, impostor, LOWEST_FAR)


def _rate_with_interval(name: str, distances: npt.NDArray[np.float64], same: npt.NDArray[np.bool_]) -> Share:
    value = _rate(name, distances, same)
    if value is None:
        return Share(None, None)
    folds = np.array_split(np.arange(len(same)), FOLDS)
    rates = [_rate(name, np.delete(distances, fold), np.delete(same, fold)) for fold in folds]
    replicates = [rate for rate in rates if rate is not None]
    return Share(value, _interval(value, replicates) if len(replicates) == FOLDS else None)


def _rate(name: str, distances: npt.NDArray[np.float64], same: npt.NDArray[np.bool_]) -> float | None:
    """One error rate of `facebench.metrics.verification`, with −d as similarity."""
    if same.all() or not same.any():
        return None
    if name == FARS["0.0001"]:
        if np.count_nonzero(~same) < MOST_RESOLVED:
            return None
        return 1 - tar_at_far(-distances[same], -distances[~same], LOWEST_FAR)
    rate = getattr(verification(-distances[same], -distances[~same]), name)
    return None if rate is None else float(rate)


def _interval(value: float, replicates: list[float]) -> Interval:
    interval = jackknifed(value, replicates, LEVEL)
    return replace(interval, low=max(interval.low, 0.0), high=min(interval.high, 1.0), method=METHOD)


def _complement(rate: Share) -> Share:
    """1 − rate, with the interval mirrored."""
    if rate.value is None or rate.interval is None:
        return Share(None if rate.value is None else 1 - rate.value, None)
    old = rate.interval
    mirrored = replace(old, low=1 - old.high, high=1 - old.low, leave_out=())
    return Share(1 - rate.value, mirrored)
