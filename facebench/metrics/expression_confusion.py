"""Confusion between expressions: how often an edit towards one expression is read as another.

C(i, j)  = share of the edits towards i whose predicted expression is j
BCR(i, j) = (C(i, j) + C(j, i)) / 2
mSCR     = mean of BCR over pairs of similar expressions
accuracy = share of all edits whose predicted expression is the wanted one
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from facebench.core.errors import InputError
from facebench.metrics.arrays import Array, Floats, matrix

Pairs = Sequence[tuple[Any, Any]]

SIMILAR = (
    (("fear", "fearful", "afraid"), ("surprise", "surprised")),
    (("anger", "angry"), ("disgust", "disgusted")),
)
"""Pairs of similar expressions that the paper names, with the words that datasets use for them."""


@dataclass(frozen=True)
class ExpressionConfusion:
    """Confusion matrix of wanted and predicted expressions, and its summaries.

    Attributes:
        mscr: mean structural confusion rate in [0, 1]; lower is better. 0.5 means that a pair has become one
            expression. None without a pair of wanted expressions.
        accuracy: share of edits that are read as wanted, in [0, 1]; higher is better.
        matrix: (wanted, classes) shares; every row sums to 1.
        wanted: expressions of the rows, sorted.
        classes: expressions of the columns: the wanted ones, then further predicted ones, sorted.
        pairs: bidirectional confusion rate of each pair.
        n: number of edits.
        notes: field name to the reason why it is None.
    """

    mscr: float | None
    accuracy: float
    matrix: Floats
    wanted: tuple[Any, ...]
    classes: tuple[Any, ...]
    pairs: Mapping[tuple[Any, Any], float]
    n: int
    notes: Mapping[str, str] = field(default_factory=dict)


def expression_confusion(
    predicted: Sequence[Any] | Array, wanted: Sequence[Any] | Array, *, pairs: Pairs | None = None
) -> ExpressionConfusion:
    """Confusion between wanted and predicted expressions; see `ExpressionConfusion`.

    The paper names fear and surprise, and anger and disgust, as examples of pairs. These pairs are used where both of
    their expressions are wanted. Else, and for class indices, all pairs of wanted expressions are used.

    Args:
        predicted: (n,) names or indices of the dominant expressions, or (n, classes) logits or probabilities, whose
            first largest entry counts.
        wanted: (n,) names or indices of the expressions that were asked for.
        pairs: pairs of expressions; pairs that were not both wanted are left out.

    Raises:
        InputError: different lengths, empty, NaN or infinity, or names beside logits.

    Source:
        FFE-Bench (PixelSmile, arXiv:2603.25728), mean structural confusion rate.

    Example:
        >>> predicted = ["fear", "surprise", "surprise", "fear"]
        >>> result = expression_confusion(predicted, ["fear", "fear", "surprise", "fear"])
        >>> round(result.mscr, 3), result.accuracy
        (0.167, 0.75)
    """
    names, asked = _labels(predicted, "predicted"), _labels(wanted, "wanted")
    if len(names) != len(asked):
        raise InputError(f"{len(names)} predicted and {len(asked)} wanted expressions do not match.")
    if len(asked) == 0:
        raise InputError("expression confusion needs at least one edit.")
    if (names.dtype.kind == "U") != (asked.dtype.kind == "U"):
        raise InputError("predicted and wanted must both be names, or both be class indices.")
    rows = tuple(np.unique(asked).tolist())
    classes = rows + tuple(sorted(set(names.tolist()) - set(rows)))
    shares = np.array([[(names[asked == row] == column).mean() for column in classes] for row in rows])
    rates = _pair_rates(shares, rows, _similar(rows) if pairs is None else pairs)
    return ExpressionConfusion(
        mscr=float(np.mean(list(rates.values()))) if rates else None,
        accuracy=float((names == asked).mean()),
        matrix=shares,
        wanted=rows,
        classes=classes,
        pairs=rates,
        n=len(asked),
        notes={} if rates else {"mscr": "no pair of expressions was requested, so none can be confused"},
    )


def _labels(labels: Sequence[Any] | Array, name: str) -> Array:
    """Return names as text and indices as integers."""
    array = np.asarray(labels)
    if array.ndim == 2:
        return np.asarray(matrix(array, name).argmax(axis=1))
    if array.ndim != 1:
        raise InputError(f"{name}: expected one expression per edit, got shape {array.shape}.")
    if array.dtype.kind in "fiub":
        if not np.equal(np.mod(array, 1), 0).all():
            raise InputError(f"{name}: class indices must be whole numbers.")
        return array.astype(np.int64)
    return np.array([str(label) for label in array], dtype=np.str_)


def _similar(wanted: tuple[Any, ...]) -> Pairs:
    """Return the named pairs where both expressions are wanted; else all pairs."""
    words = {str(name).strip().lower(): name for name in wanted}
    found = []
    for sides in SIMILAR:
        names = [next((words[word] for word in side if word in words), None) for side in sides]
        if None not in names:
            found.append((names[0], names[1]))
    return found or list(itertools.combinations(wanted, 2))


def _pair_rates(shares: Floats, wanted: tuple[Any, ...], pairs: Pairs) -> dict[tuple[Any, Any], float]:
    place = {name: index for index, name in enumerate(wanted)}
    return {
        (left, right): float((shares[place[left], place[right]] + shares[place[right], place[left]]) / 2)
        for left, right in pairs
        if left in place and right in place
    }


def read_as_wanted(predicted: Sequence[Any] | Array, wanted: Sequence[Any] | Array) -> Floats:
    """1 for each edit whose predicted expression is the wanted one, else 0, (n,); see `expression_confusion`."""
    return np.asarray(_labels(predicted, "predicted") == _labels(wanted, "wanted"), dtype=np.float64)
