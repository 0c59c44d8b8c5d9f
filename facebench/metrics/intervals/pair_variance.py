"""Standard error of the mean over impostor pairs, from the variance components of people and of pairs.

The mean score of two people i and j is modelled as μ + a_i + a_j + e_ij. A bootstrap or a jackknife over people counts
the variance of e two or three times. The components are estimated by the analysis of a diallel cross without parents
(Griffing 1956, method 4):

    MS_a = Σ (x_i. - x̄_i.)² / ((n - 2) (n - 1))          E MS_a = σ_e² + (n - 2) σ_a²
    MS_e = (Σ x_ij² - x..² 2 / (n (n - 1)) - (n - 1) MS_a) / (n (n - 3) / 2)

with x_i. = Σ_j x_ij. The error of Σ W_ij x_ij is sqrt(σ_a² Σ_i (Σ_j W_ij)² + σ_e² Σ_{i<j} W_ij²).
"""

from __future__ import annotations

import numpy as np

from facebench.metrics.arrays import Floats, Ints
from facebench.metrics.quantiles import t_quantile

_MOST_PEOPLE = 5000
"""People up to whom the (n, n) table of pairs is made: 200 MB."""


def pair_mean_error(values: Floats, people: Ints) -> float | None:
    """Standard error of the mean of one number per impostor pair, for new people.

    Args:
        values: (m,) one number per pair of images.
        people: (m, 2) the two people of each pair.

    Returns:
        The standard error; None with fewer than four people or with two people who have no pair.
    """
    names, codes = np.unique(people, return_inverse=True)
    codes = codes.reshape(people.shape)
    n = len(names)
    if not 4 <= n <= _MOST_PEOPLE:
        return None
    cell = codes.min(axis=1) * n + codes.max(axis=1)
    counts = np.bincount(cell, minlength=n * n).reshape(n, n).astype(np.float64)
    totals = np.bincount(cell, values, minlength=n * n).reshape(n, n)
    above = np.triu_indices(n, 1)
    if counts[above].min() == 0:
        return None
    return _error(totals[above] / counts[above], counts[above] / counts.sum(), above, n)


def _error(means: Floats, weights: Floats, above: tuple[Ints, Ints], n: int) -> float:
    """Standard error of the weighted mean of the cell means."""
    centred = means - means.mean()
    of_person = _by_person(centred, above, n)
    main = float(np.square(of_person - of_person.mean()).sum()) / ((n - 2) * (n - 1))
    residual = max(float(centred @ centred) - (n - 1) * main, 0.0) / (n * (n - 3) / 2)
    person_variance = max(main - residual, 0.0) / (n - 2)
    by_person = _by_person(weights, above, n)
    return float(np.sqrt(person_variance * (by_person @ by_person) + residual * (weights @ weights)))


def _by_person(values: Floats, above: tuple[Ints, Ints], n: int) -> Floats:
    return np.asarray(
        np.bincount(above[0], values, minlength=n) + np.bincount(above[1], values, minlength=n),
        dtype=np.float64,
    )


def t_reach(error: float, units: int, level: float) -> float:
    """Half-width of an interval: the standard error times t of n - 1 degrees of freedom."""
    return error * t_quantile(0.5 + level / 2, max(units - 1, 1))
