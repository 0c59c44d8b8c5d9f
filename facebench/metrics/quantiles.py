"""Quantiles and tails of the normal, t and beta distributions.

The functions are those behind `scipy.stats`, whose import takes 0.4 s.
"""

from __future__ import annotations

from scipy import special


def normal_quantile(p: float) -> float:
    """Value below which a standard normal variable lies with probability p.

    Example:
        >>> round(normal_quantile(0.975), 4)
        1.96
    """
    return float(special.ndtri(p))


def normal_tail(x: float) -> float:
    """Probability that a standard normal variable exceeds x."""
    return float(special.ndtr(-x))


def t_quantile(p: float, degrees_of_freedom: float) -> float:
    """Value below which a variable of Student's t distribution lies with probability p."""
    return float(special.stdtrit(degrees_of_freedom, p))


def t_tail(x: float, degrees_of_freedom: float) -> float:
    """Probability that a variable of Student's t distribution exceeds x."""
    return float(special.stdtr(degrees_of_freedom, -x))


def beta_quantile(p: float, a: float, b: float) -> float:
    """Value below which a variable of the beta distribution lies with probability p."""
    return float(special.betaincinv(a, b, p))
