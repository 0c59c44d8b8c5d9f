"""Data of the report's plots: score histograms, error curves, distance against n, and a map of features.

The data are stored beside the record as `curves.json`, so a report needs neither networks nor embeddings:

```
{"scores":  [{"backbone", "against": "generated" | "reference", "edges", "genuine", "impostor",
              "fmr", "fnmr", "eer", "eer_threshold"}],
 "frechet": [{"metric", "sizes", "distances"}],
 "edits":   [{"metric", "strengths", "gained", "gained_low", "gained_high", "kept", "kept_low", "kept_high", "n"}],
 "map":     {"backbone", "fitted_on", "explained": [x, y]}}
```
The columns `map_x` and `map_y` of the per-image table are the coordinates of the map.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg

from facebench.evaluation.cards import Card
from facebench.evaluation.role_features import RoleFeatures
from facebench.metrics.arrays import Array, Floats
from facebench.metrics.det_curve import DetCurve, thin
from facebench.metrics.frechet import frechet_distance
from facebench.metrics.verification import Verification

BINS = 100
POINTS = 400
"""Maximum number of points of an error curve; a plot cannot resolve more."""
MOST_FITTED = 5000
"""Maximum number of rows used to fit the axes of the map."""


def score_curve(curve: DetCurve, answer: Verification, backbone: str, against: str) -> dict[str, Any]:
    """Return histograms of genuine and impostor scores, and their error curve."""
    edges = np.linspace(-1.0, 1.0, BINS + 1)
    few = thin(curve, POINTS)
    return {
        "backbone": backbone,
        "against": against,
        "edges": _short(edges),
        "genuine": _shares(curve, 1.0 - curve.fnmr, edges),
        "impostor": _shares(curve, curve.fmr, edges),
        "fmr": _short(few.fmr),
        "fnmr": _short(few.fnmr),
        "eer": answer.eer,
        "eer_threshold": answer.eer_threshold if np.isfinite(answer.eer_threshold) else None,
    }


def _shares(curve: DetCurve, at_least: Floats, edges: Floats) -> list[float]:
    """Return the share of scores in each bin, from the share of scores at or above every threshold."""
    above = np.append(at_least, 0.0)[np.searchsorted(curve.thresholds, edges[1:-1])]
    return _short(-np.diff(np.concatenate([[1.0], above, [0.0]])))


def frechet_against_n(
    metric: str, arguments: Sequence[Any], value: float, seed: int
) -> dict[str, Any] | None:
    """Return the Fréchet distance of an eighth, a quarter and half of the generated images.

    Returns None with fewer than 64 generated images.
    """
    generated, reference = arguments
    n = len(generated)
    if n < 64:
        return None
    order = np.random.default_rng(seed).permutation(n)
    sizes = [n // 8, n // 4, n // 2]
    distances = [frechet_distance(generated[np.sort(order[:size])], reference) for size in sizes]
    return {"metric": metric, "sizes": [*sizes, n], "distances": [*distances, value]}


@dataclass(frozen=True)
class FeatureMap:
    """Two-dimensional coordinates of every image.

    Attributes:
        backbone: network of the features.
        fitted_on: role whose first two principal components are the axes; runs with one reference share them.
        explained: share of the variance of that role along each axis.
        points: (n, 2) per role, NaN where the backbone has no result.
    """

    backbone: str
    fitted_on: str
    explained: tuple[float, float]
    points: dict[str, Floats]

    def describe(self) -> dict[str, Any]:
        """Return everything except the points, for `curves.json`."""
        return {"backbone": self.backbone, "fitted_on": self.fitted_on, "explained": _short(self.explained)}


def feature_map(chosen: Sequence[Card], features: RoleFeatures, seed: int) -> FeatureMap | None:
    """Return principal components of the first suitable features of the metrics; None with too few images.

    Features that are compared with a reference set have priority, because they describe the whole image.
    """
    reading = sorted(chosen, key=lambda card: "reference" not in card.needs or "identities" in card.needs)
    for card in reading:
        found = _map_of(card, features, seed)
        if found is not None:
            return found
    return None


def _map_of(card: Card, features: RoleFeatures, seed: int) -> FeatureMap | None:
    backbone, array = card.reads.backbone, card.reads.array
    if not isinstance(array, str):
        return None
    held = {
        role: features.rows(role, backbone, array)
        for role, extraction in features.extractions.items()
        if backbone in extraction.arrays
    }
    # With several reference sets, the first one defines the axes.
    references = [role for role in held if role.partition(":")[0] == "reference"]
    fitted_on = references[0] if references else "generated"
    if fitted_on not in held or held[fitted_on][0].ndim != 2 or held[fitted_on][0].shape[1] < 3:
        return None
    rows, valid = held[fitted_on]
    if valid.sum() < 3:
        return None
    centre, axes, explained = _principal(np.flatnonzero(valid), rows, seed)
    points = {
        # Without a result for any image of a role, the width of its features is unknown.
        role: (np.asarray(each, dtype=np.float64) - centre) @ axes
        if has.any()
        else np.full((len(each), 2), np.nan)
        for role, (each, has) in held.items()
    }
    return FeatureMap(backbone, fitted_on, explained, points)


def _principal(places: Array, rows: Array, seed: int) -> tuple[Floats, Floats, tuple[float, float]]:
    """Return the mean, two axes with a fixed sign, and the share of variance along each axis."""
    if len(places) > MOST_FITTED:
        places = np.sort(np.random.default_rng(seed).choice(places, MOST_FITTED, replace=False))
    fitted = np.asarray(rows[places], dtype=np.float64)
    centre = fitted.mean(axis=0)
    covariance = np.cov(fitted, rowvar=False)
    d = len(covariance)
    values, axes = scipy.linalg.eigh(covariance, subset_by_index=[d - 2, d - 1])
    values, axes = values[::-1], axes[:, ::-1]
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), [0, 1]])
    total = float(np.trace(covariance)) or 1.0
    return centre, axes, (float(values[0]) / total, float(values[1]) / total)


def _short(values: Any) -> list[float]:
    """Round to six significant digits; a plot cannot resolve more."""
    return [float(f"{value:.6g}") for value in values]
