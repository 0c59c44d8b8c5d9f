"""Share of images whose most likely class is the wanted one.

wanted_class = |{i : argmax g_i = c_i}| / n
"""

from __future__ import annotations

import numpy as np

from facebench.core.errors import InputError
from facebench.metrics.arrays import Array, Floats, matrix, vector
from facebench.metrics.mean_std import MeanStd, mean_std


def wanted_class(generated: Array, wanted: Array) -> MeanStd:
    """Share of images whose largest logit belongs to the wanted class, in [0, 1]; higher is better.

    Args:
        generated: (n, classes) logits or probabilities.
        wanted: (n,) index of the wanted class of each image, from 0 to classes - 1.

    Returns:
        The share as `mean`; `std` is that of the n answers (0 or 1). Of equal largest logits the first counts.

    Raises:
        InputError: different lengths, an index outside the classes, empty, NaN or infinity.

    Example:
        >>> wanted_class([[0.9, 0.1], [0.2, 0.8]], [0, 0]).mean
        0.5
    """
    return mean_std(is_wanted_class(generated, wanted))


def is_wanted_class(generated: Array, wanted: Array) -> Floats:
    """1 for each image whose largest logit belongs to the wanted class, else 0, (n,); see `wanted_class`."""
    generated, wanted = matrix(generated, "generated"), vector(wanted, "wanted")
    if len(generated) != len(wanted):
        raise InputError(f"{len(generated)} images and {len(wanted)} wanted classes do not match.")
    if not np.isin(wanted, np.arange(generated.shape[1])).all():
        raise InputError(f"wanted must hold class indices from 0 to {generated.shape[1] - 1}.")
    return np.asarray(generated.argmax(axis=1) == wanted, dtype=np.float64)
