"""Leakage: is a generated face somebody from the training set?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from facebench.core.errors import InputError
from facebench.metrics.arrays import Array, Floats, Ints, matrix, unit_rows

_BLOCK = 1024


@dataclass(frozen=True)
class Leakage:
    """How many generated faces are somebody from the training set.

    Attributes:
        share: of generated faces whose closest training face is as alike as the threshold, or more; in [0, 1], lower is
            better. A model that copies nobody has about the stated rate.
        similarity: mean cosine of generated faces and their closest training faces, in [-1, 1].
        threshold: the cosine that the closest face of *another* person reaches in the stated share of searches.
        notes: field name to the reason why it is to be read with care.
    """

    share: float
    similarity: float
    threshold: float
    notes: Mapping[str, str] = field(default_factory=dict)


def leakage(
    generated: Array, training: Array, identities: Sequence[str | None] | None = None, *, rate: float = 0.01
) -> Leakage:
    """Share of generated faces that are somebody from the training set; see `Leakage`.

    The threshold comes from the training set itself. Every training face is searched among the faces of all other
    people; at the threshold the given share of these searches finds somebody, wrongly. A search among many faces finds
    a look-alike far more often than one comparison does, so a threshold for single pairs would accuse everybody.

    Args:
        generated: (n, d) embeddings.
        training: (m, d) embeddings.
        identities: (m,) who the training faces are; without, every face counts as a person of its own.
        rate: share of wrong finds, the false match rate of a whole search.

    Raises:
        InputError: fewer than two training people, a rate outside (0, 1), widths that differ, NaN or infinity.

    Source:
        False positive identification rate, ISO/IEC 19795-1.

    Example:
        >>> leakage([[1.0, 0.1]], [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.2]], ["a", "b", "c"]).share
        1.0
    """
    threshold, note = _threshold(training, identities, rate)
    cosines = closest_cosines(generated, training)
    notes = {"share": note, "threshold": note} if note else {}
    return Leakage(float((cosines >= threshold).mean()), float(cosines.mean()), threshold, notes)


def closest_faces(
    generated: Array,
    training: Array,
    identities: Sequence[object] | None = None,
    training_identities: Sequence[object] | None = None,
) -> tuple[Ints, Floats]:
    """The most alike training face of each generated one: its row and the cosine, first of equals.

    With identities on both sides, faces of the same person do not count.

    Raises:
        InputError: empty, widths that differ, a row of zeros, NaN or infinity.

    Example:
        >>> rows, cosines = closest_faces([[2.0, 0.0]], [[0.0, 1.0], [1.0, 0.0]])
        >>> rows.tolist(), cosines.tolist()
        ([1], [1.0])
    """
    left = unit_rows(matrix(generated, "generated"), "generated")
    right = unit_rows(matrix(training, "training"), "training")
    if left.shape[1] != right.shape[1]:
        raise InputError(f"generated has {left.shape[1]} features, training has {right.shape[1]}.")
    places, cosines = np.empty(len(left), dtype=np.int64), np.empty(len(left))
    for start in range(0, len(left), _BLOCK):
        rows = slice(start, start + _BLOCK)
        scores = left[rows] @ right.T
        if identities is not None and training_identities is not None:
            own = np.array(list(identities)[rows], dtype=np.str_)
            scores[own[:, None] == np.array(training_identities, dtype=np.str_)] = -np.inf
        places[rows] = scores.argmax(axis=1)
        cosines[rows] = scores.max(axis=1)
    return places, cosines


def closest_cosines(
    generated: Array, training: Array, identities: Sequence[str | None] | None = None, *, rate: float = 0.01
) -> Floats:
    """Cosine of each generated face and its closest training face, (n,); arguments as in `leakage`.

    `identities` and `rate` do not change the cosines.
    """
    return closest_faces(generated, training)[1]


def leaked(
    generated: Array, training: Array, identities: Sequence[str | None] | None = None, *, rate: float = 0.01
) -> Floats:
    """1 for each generated face that counts as a training identity, else 0, (n,); arguments as in `leakage`."""
    threshold, _ = _threshold(training, identities, rate)
    return np.asarray(closest_cosines(generated, training) >= threshold, dtype=np.float64)


def _threshold(training: Array, identities: Sequence[str | None] | None, rate: float) -> tuple[float, str]:
    """The threshold, and why it is to be read with care."""
    if not 0 < rate < 1:
        raise InputError(f"The rate of wrong finds must lie between 0 and 1, got {rate:g}.")
    known = identities is not None and any(name is not None for name in identities)
    names = [name or f"\0{row}" for row, name in enumerate(identities or [None] * len(training))]
    people = len(set(names))
    if people < 2:
        raise InputError(
            "leakage needs at least two people in the training set to learn what a stranger looks like."
        )
    _, nearest = closest_faces(training, training, names, names)
    threshold = float(np.quantile(nearest, 1 - rate, method="higher"))
    notes = []
    if not known:
        notes.append(
            "the training set names no people, so each face counts as one: recurring people raise the threshold"
        )
    if people * rate < 5:
        notes.append(f"the threshold rests on {people} people, a rate of {rate:g} needs {round(5 / rate)}")
    return threshold, "; ".join(notes)
