"""Verification: how well a threshold separates genuine scores from impostor scores.

    FMR(t)  = |{impostor scores >= t}| / m            FNMR(t) = |{genuine scores < t}| / n
    EER     = (FMR + FNMR) / 2 where the two cross    FMR100  = min FNMR(t) over t with FMR(t) <= 1 %
    FDR     = (μ_g - μ_i)² / (σ_g² + σ_i²)            AUC     = area under 1 - FNMR over FMR

Scores are similarities: higher means more alike, and a pair is accepted when score >= threshold. Negate distances
first. Thresholds are the distinct scores observed and +∞, which rejects all pairs; nothing is interpolated. Rates are
fractions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from facebench.metrics.arrays import Array
from facebench.metrics.rates import Curve, Rates, Scores, Spread


@dataclass(frozen=True)
class Verification:
    """Verification statistics; rates are fractions.

    Attributes:
        eer: equal error rate in [0, 1], the mean of FMR and FNMR where they cross; lower is better.
        eer_low: the lower of the two rates there.
        eer_high: the higher of the two rates there.
        eer_threshold: the score at which they are taken; infinite where every pair is rejected.
        fmr100: lowest FNMR at an FMR of at most 1 %, lower is better; None with fewer than 100 impostors.
        fmr1000: the same at 0.1 %; None with fewer than 1000.
        tar_1e4: highest true accept rate, 1 - FNMR, at an FMR of at most 1e-4, higher is better; None with fewer than
            10,000.
        zero_fmr: lowest FNMR at an FMR of 0; 1 when an impostor has the highest score.
        auc: area under the ROC in [0, 1], P(genuine > impostor) + P(equal) / 2, higher is better.
        fdr: Fisher discriminant ratio (μ_g - μ_i)² / (σ_g² + σ_i²), higher is better; not the false discovery
            rate. When both sides are constant it is infinite, or NaN for equal means.
        d_prime: |μ_g - μ_i| / sqrt((σ_g² + σ_i²) / 2), higher is better; 1 when both sides are constant.
        genuine_mean: mean of the genuine scores.
        genuine_std: their population standard deviation.
        impostor_mean: mean of the impostor scores.
        impostor_std: their population standard deviation.
        genuine_count: number of genuine scores.
        impostor_count: number of impostor scores.
        notes: field name to the reason why it is None or unreliable.
    """

    eer: float
    eer_low: float
    eer_high: float
    eer_threshold: float
    fmr100: float | None
    fmr1000: float | None
    tar_1e4: float | None
    zero_fmr: float
    auc: float
    fdr: float
    d_prime: float
    genuine_mean: float
    genuine_std: float
    impostor_mean: float
    impostor_std: float
    genuine_count: int
    impostor_count: int
    notes: Mapping[str, str] = field(default_factory=dict)


def verification(genuine: Array, impostor: Array) -> Verification:
    """Error rates, separation and spread of genuine and impostor similarities; see `Verification`.

    EER: t2 is the lowest threshold with FMR <= FNMR; t1 is the threshold before it, or t2 itself when the rates are
    equal there or t2 is the first. The EER is taken at the one with the smaller FMR + FNMR, t1 when equal. At the
    threshold +∞ FMR is 0 and FNMR is 1, so the curves always cross: constant scores have an EER and an AUC of 0.5.

    Args:
        genuine: (n,) similarities of pairs of one identity, n >= 1, higher = more alike. Not distances.
        impostor: (m,) similarities of pairs of two identities, m >= 1.

    Raises:
        InputError: an empty list, NaN or infinity.

    Source:
        Maio et al. 2002 (FVC2000), section 4: EER interval, FMR100, FMR1000 and ZeroFMR (FMR at most the target).
        pyeer: which end of the EER interval is reported. Hanley and McNeil 1982: AUC with ties.

    Example:
        >>> result = verification([0.9, 0.8, 0.4], [0.1, 0.2, 0.5])
        >>> round(result.eer, 6), result.zero_fmr == 1 / 3, result.fmr100
        (0.333333, True, None)
    """
    scores = Scores.of(genuine, impostor)
    return summarise(scores, *scores.spreads())


Summary = Callable[[Curve, Spread, Spread], Verification]
"""From error rates and the spread of the genuine and impostor scores to all statistics."""


RESOLVED = {"fmr100": 100, "fmr1000": 1000, "tar_1e4": 10_000}
"""Rates at a target FMR, with the number of impostor scores that resolves it."""


def summarise(rates: Rates, genuine: Spread, impostor: Spread) -> Verification:
    """Compute all statistics from error rates and the spread of the scores."""
    low, high, threshold = _equal_error(rates)
    fmr100, fmr1000, fmr10000 = (_resolved(rates, impostor.count, most) for most in RESOLVED.values())
    notes = {
        name: f"{impostor.count} impostor scores, an FMR of 1/{most} needs {most}"
        for name, most in RESOLVED.items()
        if impostor.count < most
    }
    if low + high > 1.0:
        notes["eer"] = "genuine pairs do not score above impostor pairs; negate distances first"
    return Verification(
        eer=(low + high) / 2,
        eer_low=low,
        eer_high=high,
        eer_threshold=threshold,
        fmr100=fmr100,
        fmr1000=fmr1000,
        tar_1e4=None if fmr10000 is None else 1.0 - fmr10000,
        zero_fmr=fnmr_at_most(rates, 0.0),
        auc=rates.area(),
        fdr=_fisher(genuine, impostor),
        d_prime=_d_prime(genuine, impostor),
        genuine_mean=genuine.mean,
        genuine_std=genuine.std,
        impostor_mean=impostor.mean,
        impostor_std=impostor.std,
        genuine_count=genuine.count,
        impostor_count=impostor.count,
        notes=notes,
    )


def _equal_error(rates: Rates) -> tuple[float, float, float]:
    """Lower and higher rate at the crossing, and its threshold."""
    second = rates.first(lambda point: point.fmr <= point.fnmr)
    first = None if second.fmr == second.fnmr else rates.before(second.threshold)
    first = first or second
    if first.fmr + first.fnmr <= second.fmr + second.fnmr:
        return min(first.fnmr, first.fmr), max(first.fnmr, first.fmr), first.threshold
    return second.fmr, second.fnmr, second.threshold


def _resolved(rates: Rates, impostor_count: int, most: int) -> float | None:
    return fnmr_at_most(rates, 1.0 / most) if impostor_count >= most else None


def fnmr_at_most(rates: Rates, target: float) -> float:
    """Lowest FNMR among thresholds with an FMR of at most the target; 1 (reject all) when there is none."""
    return rates.first(lambda point: point.fmr <= target).fnmr


def _fisher(genuine: Spread, impostor: Spread) -> float:
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.square(genuine.mean - impostor.mean) / np.float64(genuine.std**2 + impostor.std**2))


def _d_prime(genuine: Spread, impostor: Spread) -> float:
    variance = (genuine.std**2 + impostor.std**2) / 2
    return abs(genuine.mean - impostor.mean) / float(np.sqrt(variance)) if variance > 0 else 1.0
