"""Plain summaries of one number per image or per pair: quality, identity similarity, deltas, spread."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from facebench.core.errors import InputError
from facebench.metrics.arrays import Array, Floats, matrix, unit_rows, vector


@dataclass(frozen=True)
class MeanStd:
    """Mean and population standard deviation (divided by n) of n numbers, in their own unit."""

    mean: float
    std: float
    n: int


def mean_std(values: Array) -> MeanStd:
    """Mean and population standard deviation of one number per image, such as a face-quality score.

    Args:
        values: (n,) finite numbers, n >= 1.

    Raises:
        InputError: empty, not a list of numbers, NaN or infinity.

    Example:
        >>> mean_std([1.0, 3.0])
        MeanStd(mean=2.0, std=1.0, n=2)
    """
    numbers = vector(values, "values")
    return MeanStd(float(numbers.mean()), float(numbers.std()), len(numbers))


def cosine_similarity(generated: Array, reference: Array) -> Floats:
    """Cosine of the angle between paired embeddings, row by row, in [-1, 1]; higher is more alike.

    Args:
        generated: (n, d) embeddings of edited or generated images; need not be of unit norm.
        reference: (n, d) embeddings of what each was made from.

    Returns:
        (n,) float64.

    Raises:
        InputError: different shapes, a row of zeros, NaN or infinity.

    Example:
        >>> cosine_similarity([[1.0, 0.0], [1.0, 1.0]], [[2.0, 0.0], [1.0, -1.0]]).tolist()
        [1.0, 0.0]
    """
    generated, reference = matrix(generated, "generated"), matrix(reference, "reference")
    if generated.shape != reference.shape:
        raise InputError(f"pairs need equal shapes, got {generated.shape} and {reference.shape}.")
    left, right = unit_rows(generated, "generated"), unit_rows(reference, "reference")
    return np.asarray(np.clip(np.einsum("ij,ij->i", left, right), -1.0, 1.0))


def paired_similarity(generated: Array, reference: Array) -> MeanStd:
    """Mean and standard deviation of the cosine similarity of pairs, in [-1, 1]; higher is more alike.

    Arguments and errors are those of `cosine_similarity`.

    Example:
        >>> paired_similarity([[1.0, 0.0]], [[3.0, 0.0]]).mean
        1.0
    """
    return mean_std(cosine_similarity(generated, reference))


def paired_delta(generated: Array, reference: Array) -> MeanStd:
    """Mean and standard deviation of generated - reference over pairs; 0 is no change.

    Args:
        generated: (n,) a number per generated or edited image (valence, arousal, yaw, quality).
        reference: (n,) the same number of the image it was made from.

    Raises:
        InputError: different lengths, empty, NaN or infinity.

    Example:
        >>> paired_delta([1.0, 2.0], [0.5, 1.5]).mean
        0.5
    """
    left, right = vector(generated, "generated"), vector(reference, "reference")
    if len(left) != len(right):
        raise InputError(f"{len(left)} generated and {len(right)} reference values are not pairs.")
    return mean_std(left - right)


def paired_distance(generated: Array, reference: Array) -> MeanStd:
    """Mean and standard deviation of the Euclidean distance of paired codes, in their unit; lower is nearer.

    Args:
        generated: (n, d) codes of generated or edited images, such as FLAME's shape or expression.
        reference: (n, d) codes of what each was made from, or should imitate.

    Raises:
        InputError: different shapes, empty, NaN or infinity.

    Example:
        >>> paired_distance([[3.0, 4.0], [1.0, 1.0]], [[0.0, 0.0], [1.0, 1.0]])
        MeanStd(mean=2.5, std=2.5, n=2)
    """
    return mean_std(row_distance(generated, reference))


def row_distance(generated: Array, reference: Array) -> Floats:
    """Euclidean distance of paired codes, row by row, (n,); arguments and errors as in `paired_distance`."""
    generated, reference = matrix(generated, "generated"), matrix(reference, "reference")
    if generated.shape != reference.shape:
        raise InputError(f"pairs need equal shapes, got {generated.shape} and {reference.shape}.")
    return np.asarray(np.linalg.norm(np.subtract(generated, reference, dtype=np.float64), axis=1))


def spread(values: Array) -> float:
    """Root of the total population variance, in the unit of the values; higher is more varied.

    For head pose in degrees, (n, 3), this is the root mean square distance from the mean pose.

    Args:
        values: (n,) or (n, d) finite numbers, n >= 1.

    Raises:
        InputError: empty, NaN or infinity.

    Example:
        >>> spread([[0.0, 3.0], [0.0, -3.0]])
        3.0
    """
    array = np.asarray(values)
    rows = matrix(array[:, None] if array.ndim == 1 else array, "values")
    return float(np.sqrt(np.var(rows, axis=0, dtype=np.float64).sum()))
