"""Fréchet distance extrapolated to infinitely many images (FID∞), by the jackknife.

    FID∞ = G · FD - (G - 1) · mean_g FD_g

FD_g is the distance without the g-th of G groups of the rows of both sides. The bias of FD falls as 1 / n, so the
combination removes its first order on both sides.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from facebench.core.errors import InputError
from facebench.metrics.arrays import Array, matrix
from facebench.metrics.frechet import frechet_distance, frechet_leave_out
from facebench.metrics.interval import Interval, jackknifed
from facebench.metrics.units import GROUPS, Units, deal_sides

ROWS_PER_FEATURE = 3
"""Rows needed per feature: with fewer, the higher orders of the bias dominate."""


@dataclass(frozen=True)
class FrechetInfinity:
    """Fréchet distance extrapolated to infinitely many images of both sides.

    Attributes:
        value: the extrapolated distance, in squared feature units; lower is better. It may be negative for sets of one
            distribution.
        interval: jackknife interval of `value`.
        distance: the Fréchet distance of the given rows, without extrapolation.
    """

    value: float
    interval: Interval
    distance: float

    def __iter__(self) -> Iterator[float | Interval]:
        """Unpack into the value and its interval."""
        yield self.value
        yield self.interval


def frechet_infinity(
    generated: Array,
    reference: Array,
    *,
    units: tuple[Units, Units] | None = None,
    seed: int = 0,
    level: float = 0.95,
) -> FrechetInfinity:
    """Fréchet distance extrapolated to n = ∞ (FID∞) with its interval, in squared feature units; lower is better.

    Args:
        generated: (n, d) features, n >= 3 d.
        reference: (m, d) features, m >= 3 d.
        units: resampling units of the rows of both sides; None for independent rows.
        seed: seed of the dealing to groups.
        level: nominal coverage of the interval.

    Returns:
        The value, its interval, and the distance without extrapolation.

    Raises:
        InputError: fewer than 3 d rows on a side, different widths, NaN or infinity.

    Source:
        The extrapolated quantity: Chong and Forsyth 2020 (arXiv:1911.07023). The estimator: Quenouille 1956, "Notes on
        bias in estimation", with groups of rows left out of both sides.

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> x, y = rng.standard_normal((400, 8)), rng.standard_normal((400, 8))
        >>> result = frechet_infinity(x, y)
        >>> result.value < result.distance, result.interval.low < 0.0 < result.interval.high
        (True, True)
    """
    generated, reference = matrix(generated, "generated", 2), matrix(reference, "reference", 2)
    for name, rows in (("generated", generated), ("reference", reference)):
        needed = ROWS_PER_FEATURE * rows.shape[1]
        if len(rows) < needed:
            raise InputError(
                f"{name}: {len(rows)} images, FID∞ of {rows.shape[1]} features needs {needed} "
                f"({ROWS_PER_FEATURE} per feature)."
            )
    distance = frechet_distance(generated, reference)
    sides = units or (Units.rows(len(generated)), Units.rows(len(reference)))
    factors = [min(each.factors, key=lambda factor: factor.effective) for each in sides]
    groups = min(GROUPS, *(len(factor.names) for factor in factors))
    labels = deal_sides(factors, groups, seed)
    leave_out = frechet_leave_out(generated, reference, (labels[0], labels[1]), groups)
    value = groups * distance - (groups - 1) * float(np.mean(leave_out))
    # The jackknife estimate has the spread of the pseudo-values, which is that of the leave-out values.
    interval = jackknifed(value, leave_out, level)
    fewest = Units((min(factors, key=lambda factor: factor.effective),))
    interval = replace(interval, unit=factors[0].kind, note=fewest.note, units=fewest.effective)
    return FrechetInfinity(value, interval, distance)
