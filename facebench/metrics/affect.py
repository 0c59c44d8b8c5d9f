"""Agreement of valence and arousal between what was asked for and what a generated face shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from facebench.core.errors import InputError
from facebench.metrics.arrays import Array, Floats, matrix
from facebench.metrics.summary import MeanStd, mean_std


@dataclass(frozen=True)
class AffectAgreement:
    """Agreement per dimension: floats for lists, (d,) arrays for matrices.

    Attributes:
        mae: mean absolute error, in the unit of the input; lower is better.
        rmse: root mean squared error, same unit; lower is better.
        pearson: Pearson correlation in [-1, 1]; higher is better; NaN when a side does not vary.
        ccc: concordance correlation in [-1, 1] (Lin 1989, population variances); higher is better; NaN when
            both sides are one and the same constant.
        sagr: share of items whose sign agrees (0 agrees only with 0); higher is better.
        mean_delta: mean of generated - target, the signed bias; nearest 0 is better.
        n: number of pairs.
    """

    mae: float | Floats
    rmse: float | Floats
    pearson: float | Floats
    ccc: float | Floats
    sagr: float | Floats
    mean_delta: float | Floats
    n: int


def affect_agreement(target: Array, generated: Array) -> AffectAgreement:
    """How well generated faces show the valence or arousal asked for; see `AffectAgreement` for units.

    Args:
        target: (n,) one dimension or (n, d) several, usually in [-1, 1]: labels, or the same
            network's answer on the target image.
        generated: the same shape, predicted from the generated faces.

    Returns:
        The agreement: floats for (n,), arrays of length d for (n, d).

    Raises:
        InputError: different shapes, empty, NaN or infinity.

    Source:
        Lin 1989, eq. 2 for CCC; Nicolaou et al. 2011 for SAGR; the set of numbers is that of
        Toisoul et al. 2021 (EmoNet), table 1.

    Example:
        >>> agreement = affect_agreement([-0.5, 0.0, 0.5], [-0.4, 0.1, 0.6])
        >>> round(agreement.mean_delta, 9), round(agreement.pearson, 9), agreement.sagr == 2 / 3
        (0.1, 1.0, True)
    """
    wanted, shown = np.asarray(target), np.asarray(generated)
    if wanted.shape != shown.shape or wanted.ndim not in (1, 2):
        raise InputError(f"target {wanted.shape} and generated {shown.shape} must be equal, (n,) or (n, d).")
    flat = wanted.ndim == 1
    x = np.asarray(matrix(wanted[:, None] if flat else wanted, "target"), dtype=np.float64)
    y = np.asarray(matrix(shown[:, None] if flat else shown, "generated"), dtype=np.float64)
    values = {
        "mae": np.abs(y - x).mean(axis=0),
        "rmse": np.sqrt(np.square(y - x).mean(axis=0)),
        **_correlations(x, y),
        "sagr": (np.sign(x) == np.sign(y)).mean(axis=0),
        "mean_delta": (y - x).mean(axis=0),
    }
    return AffectAgreement(**{k: float(v[0]) if flat else v for k, v in values.items()}, n=len(x))


def class_agreement(target: Array, generated: Array) -> MeanStd:
    """Share of pairs whose largest logit is of the same class, in [0, 1]; higher is better.

    Args:
        target: (n, classes) logits or probabilities of the faces to imitate.
        generated: (n, classes) of the generated faces, by the same network.

    Returns:
        The share as `mean`; `std` is that of the n answers, 0 or 1. Of equal largest logits the first counts.

    Raises:
        InputError: different shapes, empty, NaN or infinity.

    Example:
        >>> class_agreement([[0.9, 0.1], [0.2, 0.8]], [[3.0, 1.0], [2.0, 1.0]]).mean
        0.5
    """
    return mean_std(same_class(target, generated))


def same_class(target: Array, generated: Array) -> Floats:
    """1 for every pair whose largest logit is of the same class, else 0; see `class_agreement`."""
    wanted, shown = matrix(target, "target"), matrix(generated, "generated")
    if wanted.shape != shown.shape:
        raise InputError(f"target {wanted.shape} and generated {shown.shape} must be equal, (n, classes).")
    return np.asarray(wanted.argmax(axis=1) == shown.argmax(axis=1), dtype=np.float64)


def _correlations(x: Floats, y: Floats) -> dict[str, Floats]:
    step = y.mean(axis=0) - x.mean(axis=0)
    dx, dy = x - x.mean(axis=0), y - y.mean(axis=0)
    # A constant column is told by its values: its deviations from a rounded mean need not be exactly 0.
    vx = np.where(np.ptp(x, axis=0) == 0, 0.0, np.square(dx).mean(axis=0))
    vy = np.where(np.ptp(y, axis=0) == 0, 0.0, np.square(dy).mean(axis=0))
    joint = np.where((vx == 0) | (vy == 0), 0.0, (dx * dy).mean(axis=0))
    return {
        "pearson": np.clip(_ratio(joint, np.sqrt(vx) * np.sqrt(vy)), -1.0, 1.0),
        "ccc": _ratio(2.0 * joint, vx + vy + step**2),
    }


def _ratio(above: Floats, below: Floats) -> Floats:
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)
