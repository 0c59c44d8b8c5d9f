"""DET curve: FNMR over FMR at every observed threshold; the ROC is 1 - FNMR over FMR.

FMR(t) = |{impostor scores >= t}| / m,   FNMR(t) = |{genuine scores < t}| / n
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from facebench.metrics.arrays import Array, Floats
from facebench.metrics.rates import REJECT_ALL, Curve


@dataclass(frozen=True)
class DetCurve:
    """Points of the DET curve (FNMR over FMR), (t,) each; the ROC is 1 - fnmr over fmr."""

    thresholds: Floats
    fmr: Floats
    fnmr: Floats


def det_curve(genuine: Array, impostor: Array, *, points: int | None = None) -> DetCurve:
    """FMR and FNMR at the observed thresholds, for DET and ROC plots; the last point has an FMR of 0.

    Args:
        genuine: (n,) similarities of pairs of one identity.
        impostor: (m,) similarities of pairs of two identities.
        points: number of thresholds to keep, approximately, spaced along the curve; None keeps all.

    Raises:
        InputError: an empty list, NaN or infinity.

    Example:
        >>> det_curve([0.9, 0.4], [0.1, 0.5]).fmr.tolist()
        [1.0, 0.5, 0.5, 0.0]
    """
    return thin(det_of(Curve.of(genuine, impostor)), points)


def det_of(curve: Curve) -> DetCurve:
    """All points of a curve of error rates.

    Where an impostor has the highest score, no observed threshold has an FMR of 0, and the threshold +∞ is added.
    """
    if curve.fmr[-1] == 0:
        return DetCurve(curve.thresholds, curve.fmr, curve.fnmr)
    return DetCurve(
        np.append(curve.thresholds, REJECT_ALL.threshold),
        np.append(curve.fmr, REJECT_ALL.fmr),
        np.append(curve.fnmr, REJECT_ALL.fnmr),
    )


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
