"""Authenticity (AuthPct): the percentage of generated samples that are not copies of a training sample.

    authenticity = 100 · |{g : R_1(r*) < |g - r*|}| / n,   r* = the reference row nearest to g

R_1(r) is the distance of r to its nearest other reference row.
"""

from __future__ import annotations

import numpy as np

from facebench.metrics.arrays import Array
from facebench.metrics.balls import Sets, check_sets, radii
from facebench.metrics.knn import nearest_neighbours


def authenticity(generated: Array, reference: Array) -> float:
    """Percentage of generated samples that are authentic, in [0, 100]; higher means less copying.

    A generated sample is authentic when its nearest reference sample has another reference sample nearer to it. Of
    several nearest ones the first counts.

    Args:
        generated: (n, d) features, n >= 1.
        reference: (m, d) features of the training set, m >= 2.

    Raises:
        InputError: too few rows, different widths, NaN or infinity.

    Source:
        Alaa et al. 2022 (arXiv:2102.08921), section 4.3; as a percentage: Stein et al. 2023 (dgm-eval).

    Example:
        >>> authenticity([[0.1], [9.0]], [[0.0], [1.0], [2.0]])
        50.0
    """
    generated, reference = check_sets(np.asarray(generated), np.asarray(reference), 1, both=False)
    sets = Sets.of(generated, reference)
    distance, index = nearest_neighbours(sets.generated, sets.reference, 1)
    own = radii(sets.reference, 1)
    return float(100.0 * (own[index[:, 0]] < distance[:, 0]).mean())
