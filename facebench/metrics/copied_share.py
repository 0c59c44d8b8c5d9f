"""Copied share: generated samples that lie nearer to a training sample than training samples lie to each other.

    ρ(x)   = |x - r*| / R_1(r*),   r* = the training row nearest to x, R_1(r*) = distance of r* to its nearest other row
    share  = |{g : ρ(g) <= T}| / n
    T      = the `rate` quantile of ρ over the training rows, each searched among the others

Authenticity (`authenticity`) is the share with ρ >= 1 and calls half of honest samples copies. The threshold T is
calibrated instead: a model that copies nothing has about the stated rate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from facebench.core.errors import InputError
from facebench.metrics.arrays import Array, Floats, Ints
from facebench.metrics.balls import Sets, check_sets
from facebench.metrics.knn import nearest_neighbours


@dataclass(frozen=True)
class CopiedShare:
    """How many generated samples are copies of training samples.

    Attributes:
        share: share of generated samples at or below the threshold, in [0, 1]; lower is better.
        threshold: ratio of distances below which a sample counts as a copy.
        ratio: median ratio of the generated samples.
        notes: field name to the reason why it is unreliable.
    """

    share: float
    threshold: float
    ratio: float
    notes: Mapping[str, str] = field(default_factory=dict)


def copied_share(generated: Array, training: Array, *, rate: float = 0.01) -> CopiedShare:
    """Share of generated samples that are copies of training samples; see `CopiedShare`.

    Args:
        generated: (n, d) features or pixels, n >= 1.
        training: (m, d) features of the training set, m >= 3.
        rate: share of training samples that would count as copies of another one.

    Raises:
        InputError: too few rows, a rate outside (0, 1), different widths, NaN or infinity.

    Source:
        Ratio of distances: Alaa et al. 2022 (arXiv:2102.08921), section 4.3. Calibration on the training set: as the
        threshold of `leakage`.

    Example:
        >>> training = np.random.default_rng(0).standard_normal((500, 8))
        >>> copied_share(training[:10] + 0.01, training).share
        1.0
    """
    if not 0 < rate < 1:
        raise InputError(f"copied_share: rate must lie between 0 and 1, got {rate:g}.")
    generated, training = check_sets(np.asarray(generated), np.asarray(training), 2, both=False)
    sets = Sets.of(generated, training)
    squared, index = nearest_neighbours(sets.reference, sets.reference, 2)
    neighbours = np.sqrt(squared)
    own = _ratios(neighbours[:, 0], _radii_without(neighbours, index))
    squares, nearest = nearest_neighbours(sets.generated, sets.reference, 1)
    ratios = _ratios(np.sqrt(squares[:, 0]), neighbours[nearest[:, 0], 0])
    threshold = float(np.quantile(own, rate, method="lower"))
    note = f"the threshold comes from {len(own)} training samples; {rate:g} needs {round(5 / rate)}"
    return CopiedShare(
        share=float((ratios <= threshold).mean()),
        threshold=threshold,
        ratio=float(np.median(ratios)),
        notes={"share": note, "threshold": note} if len(own) * rate < 5 else {},
    )


def _radii_without(neighbours: Floats, index: Ints) -> Floats:
    """Distance of the nearest row of each training row to *its* nearest row other than the training row itself."""
    nearest = index[:, 0]
    mutual = index[nearest, 0] == np.arange(len(index))
    return np.asarray(np.where(mutual, neighbours[nearest, 1], neighbours[nearest, 0]))


def _ratios(distance: Floats, radius: Floats) -> Floats:
    """Distance over radius; 0 at a distance of 0, infinite beside training rows that are copies of each other."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(distance == 0, 0.0, distance / radius))
