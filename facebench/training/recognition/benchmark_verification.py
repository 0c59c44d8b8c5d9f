"""How well a recogniser tells pairs apart: ten-fold accuracy and acceptance rates, with intervals over the folds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from facebench.metrics import verification
from facebench.metrics.intervals.interval import Interval, jackknifed
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
FARS = {"0.01": "fmr100", "0.001": "fmr1000"}
"""False acceptance rates, and the false non-match rate at a threshold that does not exceed them."""


@dataclass(frozen=True, eq=False)
class Share:
    """A share in [0, 1] with its interval; None where it has no value."""

    value: float | None
    interval: Interval | None

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        low, high = (None, None) if self.interval is None else (self.interval.low, self.interval.high)
        return {"value": self.value, "low": low, "high": high}


@dataclass(frozen=True, eq=False)
class BenchmarkScore:
    """What a recogniser reaches on one benchmark.

    Attributes:
        name: of the benchmark.
        pairs: pairs measured.
        digest: sha256 of the benchmark.
        folded: ten-fold accuracy; higher is better.
        accuracy: its mean with an interval.
        eer: equal error rate over all pairs; lower is better.
        tar: true acceptance rate by false acceptance rate: the share of genuine pairs accepted at the lowest
            threshold that accepts at most that share of impostor pairs; None with too few of them.
        left_out: pairs that could not be measured, and why.
    """

    name: str
    pairs: int
    digest: str
    folded: FoldedAccuracy
    accuracy: Share
    eer: Share
    tar: dict[str, Share]
    left_out: tuple[str, ...]

    def plain(self) -> dict[str, Any]:
        """For JSON."""
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

    The raw embeddings of an image and its mirror image are added and the sum is normalised. Intervals leave out one
    fold at a time: the folds of these benchmarks share no person, so this resamples people and not pairs.

    Args:
        network: a backbone in evaluation mode.
        size: pixels per side that it reads.
        pairs: the benchmark.

    Raises:
        InputError: too few pairs for ten folds, or an embedding that is not finite.
    """
    plain, mirrored = (embed(network, crops, size) for crops in (pairs.crops, pairs.crops[:, :, ::-1]))
    return score(pairs, pair_distances(flip_sum(plain, mirrored)))


def score(pairs: Pairs, distances: npt.NDArray[np.float64]) -> BenchmarkScore:
    """Accuracy and rates of the distances of a benchmark's pairs, (n,) squared Euclidean."""
    folded = fold_accuracies(distances, pairs.same)
    others = [float(np.delete(folded.fold_accuracy, fold).mean()) for fold in range(FOLDS)]
    accuracy = Share(folded.accuracy, _interval(folded.accuracy, others))
    rates = {name: _rate(name, distances, pairs.same) for name in ("eer", *FARS.values())}
    tar = {far: _complement(rates[name]) for far, name in FARS.items()}
    return BenchmarkScore(
        pairs.name, len(pairs.same), pairs.digest, folded, accuracy, rates["eer"], tar, pairs.left_out
    )


def _rate(name: str, distances: npt.NDArray[np.float64], same: npt.NDArray[np.bool_]) -> Share:
    value = _measured(name, distances, same)
    if value is None:
        return Share(None, None)
    folds = np.array_split(np.arange(len(same)), FOLDS)
    without = [_measured(name, np.delete(distances, fold), np.delete(same, fold)) for fold in folds]
    known = [rate for rate in without if rate is not None]
    return Share(value, _interval(value, known) if len(known) == FOLDS else None)


def _measured(name: str, distances: npt.NDArray[np.float64], same: npt.NDArray[np.bool_]) -> float | None:
    if same.all() or not same.any():
        return None
    found = getattr(verification(-distances[same], -distances[~same]), name)
    return None if found is None else float(found)


def _interval(value: float, without: list[float]) -> Interval:
    return jackknifed(value, without, LEVEL, (0.0, 1.0), METHOD, "")


def _complement(rate: Share) -> Share:
    if rate.value is None or rate.interval is None:
        return Share(None if rate.value is None else 1 - rate.value, None)
    found = rate.interval
    turned = Interval(1 - found.high, 1 - found.low, found.level, found.method, found.resamples, found.note)
    return Share(1 - rate.value, turned)
