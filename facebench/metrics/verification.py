"""Verification: how well genuine scores can be told from impostor scores, by a threshold.

Scores are similarities: higher means more alike, a pair is accepted when score >= threshold. Negate distances
before they come here. FMR(t) is the share of impostor scores >= t, FNMR(t) the share of genuine scores < t;
thresholds are the distinct scores observed, nothing is interpolated, rates are fractions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from facebench.errors import InputError
from facebench.metrics.arrays import Array, Floats, Ints, vector


@dataclass(frozen=True)
class Curve:
    """Weights of genuine and impostor scores at every distinct score: all that error rates depend on.

    Attributes:
        thresholds: (t,) distinct scores, ascending.
        genuine: (t,) number (or weight) of genuine scores equal to each threshold.
        impostor: (t,) likewise.
    """

    thresholds: Floats
    genuine: Floats | Ints
    impostor: Floats | Ints

    @classmethod
    def of(cls, genuine: Floats, impostor: Floats) -> Curve:
        """The curve of two lists of scores."""
        genuine, impostor = np.sort(genuine), np.sort(impostor)
        pooled = np.sort(np.concatenate([genuine, impostor]))
        thresholds = pooled[np.concatenate([[True], pooled[1:] != pooled[:-1]])]
        return cls(thresholds, _counts(genuine, thresholds), _counts(impostor, thresholds))

    def fmr(self) -> Floats:
        """FMR at every threshold."""
        below = np.cumsum(self.impostor)
        return np.asarray((below[-1] - below + self.impostor) / below[-1])

    def fnmr(self) -> Floats:
        """FNMR at every threshold."""
        below = np.cumsum(self.genuine)
        return np.asarray((below - self.genuine) / below[-1])


def _counts(ordered: Floats, thresholds: Floats) -> Ints:
    """How many of the ascending scores equal each threshold; every score is one of the thresholds."""
    changes = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    counts = np.zeros(len(thresholds), dtype=np.int64)
    counts[np.searchsorted(thresholds, ordered[changes])] = np.diff(np.append(changes, len(ordered)))
    return counts


@dataclass(frozen=True)
class Verification:
    """Verification statistics; rates are fractions.

    Attributes:
        eer: equal error rate in [0, 1], lower is better: the mean of FMR and FNMR where they cross.
        eer_low: the lower of the two rates there.
        eer_high: the higher of the two rates there.
        eer_threshold: the score at which they are taken.
        fmr100: lowest FNMR at an FMR of at most 1 %, lower is better; None with fewer than 100 impostors.
        fmr1000: the same at 0.1 %; None with fewer than 1000.
        zero_fmr: the same at an FMR of 0; 1 when the highest score is an impostor's.
        auc: area under the ROC, trapezoids between observed thresholds, higher is better.
        fdr: Fisher discriminant ratio (μ_g - μ_i)² / (σ_g² + σ_i²), higher is better; not a false discovery
            rate. Infinite, or NaN for equal means, when neither side varies.
        d_prime: |μ_g - μ_i| / sqrt((σ_g² + σ_i²) / 2), higher is better; 1 when neither side varies.
        genuine_mean: mean of the genuine scores.
        genuine_std: their population standard deviation.
        impostor_mean: mean of the impostor scores.
        impostor_std: their population standard deviation.
        genuine_count: number of genuine scores.
        impostor_count: number of impostor scores.
        notes: field name to the reason why it is None or to be read with care.
    """

    eer: float
    eer_low: float
    eer_high: float
    eer_threshold: float
    fmr100: float | None
    fmr1000: float | None
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


@dataclass(frozen=True)
class Spread:
    """Count, mean and population standard deviation of one list of scores."""

    count: int
    mean: float
    std: float


def verification(genuine: Array, impostor: Array) -> Verification:
    """Error rates, separation and spread of genuine and impostor similarities; see `Verification`.

    EER: t2 is the lowest threshold with FMR <= FNMR, t1 the threshold before it (t2 itself when the rates are
    equal there or t2 is the first). Of the two the one with the smaller FMR + FNMR is taken, t1 when equal.
    When FMR > FNMR everywhere the curves do not cross: the EER and both its ends are 1.

    Args:
        genuine: (n,) similarities of pairs of one identity, n >= 1, higher = more alike. Not distances.
        impostor: (m,) similarities of pairs of two identities, m >= 1.

    Raises:
        InputError: an empty list, NaN or infinity.

    Source:
        Maio et al. 2002 (FVC2000), section 4, for the EER interval, FMR100, FMR1000 and ZeroFMR (at most the
        stated FMR); the choice of the end of the interval is that of pyeer.

    Example:
        >>> result = verification([0.9, 0.8, 0.4], [0.1, 0.2, 0.5])
        >>> round(result.eer, 6), result.zero_fmr == 1 / 3, result.fmr100
        (0.333333, True, None)
    """
    genuine, impostor = vector(genuine, "genuine", 1), vector(impostor, "impostor", 1)
    return summarise(Curve.of(genuine, impostor), _spread(genuine), _spread(impostor))


def _spread(scores: Floats) -> Spread:
    constant = bool((scores == scores[0]).all())
    return Spread(len(scores), float(scores.mean()), 0.0 if constant else float(scores.std()))


def summarise(
    curve: Curve, genuine: Spread, impostor: Spread, notes: Mapping[str, str] | None = None
) -> Verification:
    """All statistics from a curve and the spread of the scores."""
    notes = dict(notes or {})
    fmr, fnmr = curve.fmr(), curve.fnmr()
    low, high, place = _equal_error(fmr, fnmr)
    strict = {}
    for name, target in (("fmr100", 100), ("fmr1000", 1000)):
        if impostor.count < target:
            strict[name] = None
            notes[name] = f"{impostor.count} impostor scores, an FMR of 1/{target} needs {target}"
        else:
            strict[name] = fnmr_at_most(fmr, fnmr, 1.0 / target)
    if low == high == 1.0 and place == 0:
        notes["eer"] = "FMR is above FNMR at every threshold; if these are distances, negate them"
    return Verification(
        eer=(low + high) / 2,
        eer_low=low,
        eer_high=high,
        eer_threshold=float(curve.thresholds[place]),
        zero_fmr=fnmr_at_most(fmr, fnmr, 0.0),
        auc=float(-(np.diff(fmr) * (1.0 - (fnmr[1:] + fnmr[:-1]) / 2)).sum()),
        fdr=_fisher(genuine, impostor),
        d_prime=_d_prime(genuine, impostor),
        genuine_mean=genuine.mean,
        genuine_std=genuine.std,
        impostor_mean=impostor.mean,
        impostor_std=impostor.std,
        genuine_count=genuine.count,
        impostor_count=impostor.count,
        notes=notes,
        **strict,
    )


def _equal_error(fmr: Floats, fnmr: Floats) -> tuple[float, float, int]:
    """Lower and higher rate where the curves cross, and which threshold that is; (1, 1, 0) if they do not."""
    crossed = fmr <= fnmr
    if not crossed[-1]:
        return 1.0, 1.0, 0
    second = int(np.argmax(crossed))
    first = second if second == 0 or fmr[second] == fnmr[second] else second - 1
    if fmr[first] + fnmr[first] <= fmr[second] + fnmr[second]:
        return float(fnmr[first]), float(fmr[first]), first
    return float(fmr[second]), float(fnmr[second]), second


def fnmr_at_most(fmr: Floats, fnmr: Floats, target: float) -> float:
    """Lowest FNMR among thresholds with an FMR of at most the target; 1 (reject all) when there is none."""
    reached = fmr <= target
    return float(fnmr[int(np.argmax(reached))]) if reached[-1] else 1.0


def _fisher(genuine: Spread, impostor: Spread) -> float:
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.square(genuine.mean - impostor.mean) / np.float64(genuine.std**2 + impostor.std**2))


def _d_prime(genuine: Spread, impostor: Spread) -> float:
    variance = (genuine.std**2 + impostor.std**2) / 2
    return abs(genuine.mean - impostor.mean) / float(np.sqrt(variance)) if variance > 0 else 1.0


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold with its two error rates, as fractions."""

    fnmr: float
    fmr: float
    threshold: float


def nearest_fmr(genuine: Array, impostor: Array, target: float) -> OperatingPoint:
    """The operating point whose FMR is *nearest* to a target, the rule of pyeer and ID-Booth.

    The chosen FMR may lie above the target, most of all with few impostors; `verification` never goes above.
    Of two thresholds equally near the lower one counts.

    Args:
        genuine: (n,) similarities of pairs of one identity.
        impostor: (m,) similarities of pairs of two identities.
        target: FMR as a fraction, 0.01 for FMR100, 0 for ZeroFMR.

    Raises:
        InputError: an empty list, NaN or infinity, a target outside [0, 1].

    Example:
        >>> nearest_fmr([0.9, 0.8, 0.4], [0.1, 0.2, 0.5], 0.3).threshold
        0.4
    """
    if not 0.0 <= target <= 1.0:
        raise InputError(f"nearest_fmr: the target must be a fraction in [0, 1], got {target}.")
    curve = det_curve(genuine, impostor)
    place = int(np.argmin(np.abs(curve.fmr - target)))
    return OperatingPoint(float(curve.fnmr[place]), float(curve.fmr[place]), float(curve.thresholds[place]))


@dataclass(frozen=True)
class DetCurve:
    """Points of the DET curve (FNMR over FMR), (t,) each; the ROC is 1 - fnmr over fmr."""

    thresholds: Floats
    fmr: Floats
    fnmr: Floats


def det_curve(genuine: Array, impostor: Array, *, points: int | None = None) -> DetCurve:
    """FMR and FNMR at the observed thresholds, for DET and ROC plots.

    Args:
        genuine: (n,) similarities of pairs of one identity.
        impostor: (m,) similarities of pairs of two identities.
        points: keep about this many thresholds, evenly spaced along the curve; all when None.

    Raises:
        InputError: an empty list, NaN or infinity.

    Example:
        >>> det_curve([0.9, 0.4], [0.1, 0.5]).fmr.tolist()
        [1.0, 0.5, 0.5, 0.0]
    """
    curve = Curve.of(vector(genuine, "genuine", 1), vector(impostor, "impostor", 1))
    return thin(DetCurve(curve.thresholds, curve.fmr(), curve.fnmr()), points)


def thin(curve: DetCurve, points: int | None) -> DetCurve:
    """Keep about `points` points of a curve, half of them evenly spaced in log FMR and half in log FNMR."""
    if points is None or len(curve.thresholds) <= points:
        return curve
    places = []
    for rate in (curve.fmr[::-1], curve.fnmr):
        positive = rate[rate > 0]
        levels = np.geomspace(positive.min(), 1.0, points // 2) if len(positive) else np.empty(0)
        places.append(np.minimum(np.searchsorted(rate, levels), len(rate) - 1))
    keep = np.unique(np.concatenate([len(curve.fmr) - 1 - places[0], places[1], [0, len(curve.fmr) - 1]]))
    return DetCurve(curve.thresholds[keep], curve.fmr[keep], curve.fnmr[keep])
