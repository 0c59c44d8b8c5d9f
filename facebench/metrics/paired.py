"""Similarity, difference and distance of matched pairs: an edited image and its source, a transfer and its target.

    paired_similarity = mean ± std of  x_i · y_i / (|x_i| |y_i|)
    paired_delta      = mean ± std of  x_i - y_i
    paired_distance   = mean ± std of  |x_i - y_i|

x is the generated image, y the image it belongs to.
"""

from __future__ import annotations

import numpy as np

from facebench.core.errors import InputError
from facebench.metrics.arrays import Array, Floats, matrix, unit_rows, vector
from facebench.metrics.mean_std import MeanStd, mean_std


def paired_similarity(generated: Array, reference: Array) -> MeanStd:
    """Mean and standard deviation of the cosine similarity of pairs, in [-1, 1]; higher is more alike.

    Arguments and errors are those of `cosine_similarity`.

    Example:
        >>> paired_similarity([[1.0, 0.0]], [[3.0, 0.0]]).mean
        1.0
    """
    return mean_std(cosine_similarity(generated, reference))


def cosine_similarity(generated: Array, reference: Array) -> Floats:
    """Cosine of the angle between paired embeddings, row by row, in [-1, 1]; higher is more alike.

    Args:
        generated: (n, d) embeddings of edited or generated images, of any norm but 0.
        reference: (n, d) embeddings of the images they were made from.

    Returns:
        (n,) float64.

    Raises:
        InputError: different shapes, a row of zeros, NaN or infinity.

    Example:
        >>> cosine_similarity([[1.0, 0.0], [1.0, 1.0]], [[2.0, 0.0], [1.0, -1.0]]).tolist()
        [1.0, 0.0]
    """
    generated, reference = _pairs(generated, reference)
    left, right = unit_rows(generated, "generated"), unit_rows(reference, "reference")
    return np.asarray(np.clip(np.einsum("ij,ij->i", left, right), -1.0, 1.0))


def paired_delta(generated: Array, reference: Array) -> MeanStd:
    """Mean and standard deviation of generated - reference over pairs; 0 means no change.

    Args:
        generated: (n,) one number per generated or edited image (valence, arousal, yaw, quality).
        reference: (n,) the same number of the image it was made from.

    Raises:
        InputError: different lengths, empty, NaN or infinity.

    Example:
        >>> paired_delta([1.0, 2.0], [0.5, 1.5]).mean
        0.5
    """
    return mean_std(row_delta(generated, reference))


def row_delta(generated: Array, reference: Array) -> Floats:
    """Generated - reference, pair by pair, (n,); arguments and errors as in `paired_delta`."""
    left, right = vector(generated, "generated"), vector(reference, "reference")
    if len(left) != len(right):
        raise InputError(f"{len(left)} generated and {len(right)} reference values are not pairs.")
    return left - right


def paired_distance(generated: Array, reference: Array) -> MeanStd:
    """Mean and standard deviation of the Euclidean distance of paired codes, in their unit; lower is nearer.

    Args:
        generated: (n, d) codes of generated or edited images, such as FLAME shape or expression.
        reference: (n, d) codes of the images they were made from, or should imitate.

    Raises:
        InputError: different shapes, empty, NaN or infinity.

    Example:
        >>> paired_distance([[3.0, 4.0], [1.0, 1.0]], [[0.0, 0.0], [1.0, 1.0]])
        MeanStd(mean=2.5, std=2.5, n=2)
    """
    return mean_std(row_distance(generated, reference))


def row_distance(generated: Array, reference: Array) -> Floats:
    """Euclidean distance of paired codes, row by row, (n,); arguments and errors as in `paired_distance`."""
    generated, reference = _pairs(generated, reference)
    return np.asarray(np.linalg.norm(np.subtract(generated, reference, dtype=np.float64), axis=1))


def _pairs(generated: Array, reference: Array) -> tuple[Array, Array]:
    generated, reference = matrix(generated, "generated"), matrix(reference, "reference")
    if generated.shape != reference.shape:
        raise InputError(f"pairs need equal shapes, got {generated.shape} and {reference.shape}.")
    return generated, reference
