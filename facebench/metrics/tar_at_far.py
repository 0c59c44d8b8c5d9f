"""True accept rate at a false accept rate that is never exceeded.

TAR(far) = max |{genuine scores >= t}| / n   over thresholds t with |{impostor scores >= t}| / m <= far
"""

from __future__ import annotations

import numpy as np

from facebench.core.errors import InputError
from facebench.metrics.arrays import Array, vector


def tar_at_far(genuine: Array, impostor: Array, far: float) -> float:
    """Highest true accept rate at a false accept rate of at most `far`, in [0, 1]; higher is better.

    It equals 1 - FNMR at the same operating point, so `tar_at_far(g, i, 0.01)` is 1 - FMR100. insightface takes the
    threshold with the nearest FAR, which may exceed the target. An FAR of 1e-4 is resolved from 10,000 impostor scores
    on; with fewer, no impostor is accepted.

    Args:
        genuine: (n,) similarities of pairs of one identity, n >= 1, higher = more alike.
        impostor: (m,) similarities of pairs of two identities, m >= 1.
        far: false accept rate as a fraction, 0 <= far < 1.

    Raises:
        InputError: an empty list, NaN or infinity, a rate outside [0, 1).

    Source:
        ISO/IEC 19795-1:2021; rates as in Maio et al. 2002 (FVC2000), section 4.

    Example:
        >>> tar_at_far([0.9, 0.8, 0.4, 0.3], [0.1, 0.2, 0.35, 0.5], 0.25)
        0.75
        >>> tar_at_far([0.9, 0.8, 0.4, 0.3], [0.1, 0.2, 0.35, 0.5], 0.0)
        0.5
    """
    if not 0.0 <= far < 1.0:
        raise InputError(f"far must be at least 0 and below 1, got {far:g}.")
    genuine, impostor = vector(genuine, "genuine"), np.sort(vector(impostor, "impostor"))
    rejected = np.arange(1, len(impostor) + 1)  # the lowest impostors, at least one since far < 1
    accepted = (len(impostor) - rejected) / len(impostor)
    highest_rejected = impostor[np.argmax(accepted <= far)]
    return float((genuine > highest_rejected).mean())
