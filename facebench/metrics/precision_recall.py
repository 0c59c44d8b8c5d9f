"""Improved precision and recall: the share of samples inside the balls of the other set.

    precision = |{g : |g - r| <= R_k(r) for some r}| / n
    recall    = |{r : |r - g| <= R_k(g) for some g}| / m

R_k(x) is the distance of x to its k-th nearest other row in its own set.
"""

from __future__ import annotations

from dataclasses import dataclass

from facebench.metrics.arrays import Array
from facebench.metrics.balls import Sets, check_sets, count_in_balls, radii


@dataclass(frozen=True)
class PrecisionRecall:
    """Shares in [0, 1], higher is better: precision measures fidelity, recall measures variety."""

    precision: float
    recall: float


def precision_recall(
    generated: Array, reference: Array, *, k: int = 3, strict: bool = False
) -> PrecisionRecall:
    """Improved precision and recall, shares in [0, 1]; higher is better.

    Unequal set sizes bias the result. With `strict` and k = 5 it is the precision and recall of PRDC and dgm-eval.

    Args:
        generated: (n, d) features, n > k.
        reference: (m, d) features, m > k.
        k: the nearest neighbour that sets the radius.
        strict: require distance < radius; the original requires distance <= radius.

    Raises:
        InputError: too few rows for k, different widths, NaN or infinity.

    Source:
        Kynkäänniemi et al. 2019 (arXiv:1904.06991), eq. 1 to 3; strict: Naeem et al. 2020.

    Example:
        >>> import numpy as np
        >>> x = np.arange(8.0)[:, None]
        >>> precision_recall(x, x + 100.0)
        PrecisionRecall(precision=0.0, recall=0.0)
    """
    generated, reference = check_sets(generated, reference, k)
    sets = Sets.of(generated, reference)
    in_reference, in_generated = count_in_balls(
        sets, radii(sets.generated, k), radii(sets.reference, k), strict
    )
    return PrecisionRecall(float((in_reference > 0).mean()), float((in_generated > 0).mean()))
