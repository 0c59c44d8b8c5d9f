"""Macro recall: mean over the classes of the share of its images that are predicted as this class.

recall_c     = |{i : c_i = c, argmax g_i = c}| / |{i : c_i = c}|
macro_recall = mean of recall_c over the classes with at least one image
"""

from __future__ import annotations

import numpy as np

from facebench.metrics.arrays import Array
from facebench.metrics.wanted_class import is_wanted_class


def macro_recall(generated: Array, wanted: Array) -> float:
    """Mean recall of the classes with at least one image, in [0, 1]; higher is better. Every class counts the same.

    Args:
        generated: (n, classes) logits or probabilities.
        wanted: (n,) index of the true class of each image, from 0 to classes - 1.

    Raises:
        InputError: different lengths, an index outside the classes, empty, NaN or infinity.

    Example:
        >>> macro_recall([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3]], [0, 0, 1])
        0.5
    """
    correct, classes = is_wanted_class(generated, wanted), np.asarray(wanted)
    return float(np.mean([correct[classes == each].mean() for each in np.unique(classes)]))
