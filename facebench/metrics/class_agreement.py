"""Class agreement: the share of pairs with the same most likely class.

class_agreement = |{i : argmax t_i = argmax g_i}| / n
"""

from __future__ import annotations

import numpy as np

from facebench.core.errors import InputError
from facebench.metrics.arrays import Array, Floats, matrix
from facebench.metrics.mean_std import MeanStd, mean_std


def class_agreement(target: Array, generated: Array) -> MeanStd:
    """Share of pairs whose largest logit belongs to the same class, in [0, 1]; higher is better.

    Args:
        target: (n, classes) logits or probabilities of the faces to imitate.
        generated: (n, classes) of the generated faces, from the same network.

    Returns:
        The share as `mean`; `std` is that of the n answers (0 or 1). Of equal largest logits the first counts.

    Raises:
        InputError: different shapes, empty, NaN or infinity.

    Example:
        >>> class_agreement([[0.9, 0.1], [0.2, 0.8]], [[3.0, 1.0], [2.0, 1.0]]).mean
        0.5
    """
    return mean_std(same_class(target, generated))


def same_class(target: Array, generated: Array) -> Floats:
    """1 for each pair whose largest logit belongs to the same class, else 0, (n,); see `class_agreement`."""
    target, generated = matrix(target, "target"), matrix(generated, "generated")
    if target.shape != generated.shape:
        raise InputError(
            f"target {target.shape} and generated {generated.shape} must be equal, (n, classes)."
        )
    return np.asarray(target.argmax(axis=1) == generated.argmax(axis=1), dtype=np.float64)
