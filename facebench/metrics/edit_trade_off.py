"""Trade-off of an edit over its strengths: the expression that is gained against the identity that is kept.

gained(s) = share of faces that are read as the wanted expression at strength s
kept(s)   = share of faces that are verified as their source at strength s
area      = ∫₀¹ max{ kept(s) : gained(s) >= x } dx
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from facebench.core.errors import InputError
from facebench.metrics.arrays import Array, Floats, matrix


@dataclass(frozen=True)
class EditTradeOff:
    """Trade-off of an edit.

    Attributes:
        area: area below the curve of kept identity against gained expression, in [0, 1]; higher is better.
        n: number of faces.
    """

    area: float
    n: int


def edit_trade_off(gained: Array, kept: Array) -> EditTradeOff:
    """Area below the curve of identity kept against expression gained over the strengths, in [0, 1]; higher is better.

    The strengths are points of a curve. At each share of faces with the expression, the curve is the largest share of
    verified faces among the strengths that reach it, and 0 where none does. The area is 1 when one strength gives all
    faces the expression and keeps all identities. An editor that changes nothing has the share of faces that have the
    expression already.

    Args:
        gained: (faces, k) 1 where the edit of a face at a strength is read as the wanted expression, else 0.
        kept: (faces, k) 1 where it is verified as the source, else 0.

    Raises:
        InputError: different shapes, values other than 0 and 1, empty, NaN or infinity.

    Source:
        This project. The area is the hypervolume of the points with the reference point (0, 0) (Zitzler and Thiele
        1998, "Multiobjective optimization using evolutionary algorithms").

    Example:
        >>> edit_trade_off([[0, 1], [0, 1]], [[1, 1], [1, 0]]).area
        0.5
        >>> edit_trade_off([[1, 1], [0, 1]], [[1, 0], [1, 1]]).area
        0.75
    """
    shares_gained, shares_kept = shares_by_strength(gained, kept)
    order = np.argsort(-shares_gained, kind="stable")
    gained_down = np.append(shares_gained[order], 0.0)
    best = np.maximum.accumulate(shares_kept[order])
    return EditTradeOff(float(-np.diff(gained_down) @ best), len(np.asarray(gained)))


def shares_by_strength(gained: Array, kept: Array) -> tuple[Floats, Floats]:
    """Shares of faces with the expression, and of verified faces, (k,) each; arguments as for `edit_trade_off`."""
    rows = [np.asarray(matrix(each, name), np.float64) for each, name in ((gained, "gained"), (kept, "kept"))]
    if rows[0].shape != rows[1].shape:
        raise InputError(f"gained {rows[0].shape} and kept {rows[1].shape} do not match.")
    if not np.isin(np.stack(rows), (0.0, 1.0)).all():
        raise InputError("gained and kept must hold 0 and 1.")
    return rows[0].mean(axis=0), rows[1].mean(axis=0)
