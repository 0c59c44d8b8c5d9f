"""Change of class probabilities: mean total variation distance of matched pairs.

class_change = mean of ½ Σ_k |softmax(g_i)_k - softmax(s_i)_k|
"""

from __future__ import annotations

import numpy as np

from facebench.core.errors import InputError
from facebench.metrics.arrays import Array, Floats, matrix
from facebench.metrics.mean_std import MeanStd, mean_std


def class_change(generated: Array, reference: Array) -> MeanStd:
    """Mean total variation distance between the class probabilities of pairs, in [0, 1]; 0 means no change.

    Args:
        generated: (n, classes) logits of the edited images.
        reference: (n, classes) logits of the images they were made from, from the same network.

    Raises:
        InputError: different shapes, empty, NaN or infinity.

    Example:
        >>> round(class_change([[0.0, 0.0]], [[100.0, 0.0]]).mean, 6)
        0.5
    """
    return mean_std(row_class_change(generated, reference))


def row_class_change(generated: Array, reference: Array) -> Floats:
    """Total variation distance of each pair, (n,); arguments and errors as in `class_change`."""
    generated, reference = matrix(generated, "generated"), matrix(reference, "reference")
    if generated.shape != reference.shape:
        raise InputError(f"pairs need equal shapes, got {generated.shape} and {reference.shape}.")
    change = np.abs(_softmax(generated) - _softmax(reference)).sum(axis=1) / 2
    return np.asarray(change, dtype=np.float64)


def _softmax(logits: Array) -> Floats:
    rows = np.asarray(logits, dtype=np.float64)
    powers = np.exp(rows - rows.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
