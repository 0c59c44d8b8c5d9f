"""Mean and standard deviation of one number per image.

mean = Σ x_i / n        std = sqrt(Σ (x_i - mean)² / n)
"""

from __future__ import annotations

from dataclasses import dataclass

from facebench.metrics.arrays import Array, vector


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
