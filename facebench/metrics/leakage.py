"""Leakage: the share of generated faces that show a person from the training set.

    share      = |{g : max_r cos(g, r) >= T}| / n
    T          = the (1 - rate) quantile of  max cos(r, r')  over training faces r and faces r' of other people
    similarity = mean max_r cos(g, r)

cos is the cosine of two embeddings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from facebench.core.errors import InputError
from facebench.metrics.arrays import Array, Floats, Ints, matrix, unit_rows

_BLOCK = 1024


@dataclass(frozen=True)
class Leakage:
    """How many generated faces show a person from the training set.

    Attributes:
        share: share of generated faces whose closest training face reaches the threshold, in [0, 1]; lower is better.
            A model that copies no training face has about the stated rate.
        similarity: mean cosine of generated faces and their closest training faces, in [-1, 1].
        threshold: the cosine that the closest face of *another* person reaches in the stated share of searches.
        notes: field name to the reason why it is unreliable.
    """

    share: float
    similarity: float
    threshold: float
    notes: Mapping[str, str] = field(default_factory=dict)


def leakage(
    generated: Array,
    training: Array,
    identities: Sequence[object] | Array | None = None,
    *,
    rate: float = 0.01,
) -> Leakage:
    """Share of generated faces that show a person from the training set; see `Leakage`.

    The threshold comes from the training set. Every training face is searched among the faces of all other people; at
    the threshold the stated share of these searches returns a false match. One search among many faces finds a
    look-alike far more often than one comparison, so a threshold for single pairs would match almost every face.

    Args:
        generated: (n, d) embeddings.
        training: (m, d) embeddings.
        identities: (m,) identity of each training face, a list or an array of texts or numbers; None, or an entry
            None, "" or NaN, makes each face its own identity.
        rate: share of searches with a false match (false positive identification rate).

    Raises:
        InputError: fewer than two training people, another number of identities than training faces, a rate outside
            (0, 1), widths that differ, NaN or infinity.

    Source:
        False positive identification rate, ISO/IEC 19795-1.

    Example:
        >>> leakage([[1.0, 0.1]], [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.2]], ["a", "b", "c"]).share
        1.0
    """
    return leakage_scores(generated, training, identities, rate=rate).summary()


@dataclass(frozen=True)
class LeakageScores:
    """Cosines from which leakage is computed.

    Attributes:
        generated: (n,) cosine of each generated face and its closest training face.
        training: (m,) cosine of each training face and the closest face of another person.
        people: (m,) number of the person of each training face.
        rate: share of searches with a false match.
        threshold: the (1 - rate) quantile of `training`.
        note: why the threshold is unreliable; empty if it is not.
    """

    generated: Floats
    training: Floats
    people: Ints
    rate: float
    threshold: float
    note: str

    def summary(self) -> Leakage:
        """Return share, similarity and threshold."""
        notes = {"share": self.note, "threshold": self.note} if self.note else {}
        share = float((self.generated >= self.threshold).mean())
        return Leakage(share, float(self.generated.mean()), self.threshold, notes)


def leakage_scores(
    generated: Array,
    training: Array,
    identities: Sequence[object] | Array | None = None,
    *,
    rate: float = 0.01,
) -> LeakageScores:
    """Search every generated face in the training set, and every training face among other people.

    Arguments and errors as in `leakage`.
    """
    nearest, people, note = _training_searches(training, identities, rate)
    threshold = float(np.quantile(nearest, 1 - rate, method="higher"))
    cosines = closest_cosines(generated, training)
    return LeakageScores(cosines, nearest, people, rate, threshold, note)


def closest_faces(
    generated: Array,
    training: Array,
    identities: Sequence[object] | None = None,
    training_identities: Sequence[object] | None = None,
) -> tuple[Ints, Floats]:
    """Find the training face with the largest cosine for each generated face: its row and the cosine.

    Of equal cosines the first counts. With identities on both sides, faces of the same identity are skipped.

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
    generated: Array,
    training: Array,
    identities: Sequence[object] | Array | None = None,
    *,
    rate: float = 0.01,
) -> Floats:
    """Cosine of each generated face and its closest training face, (n,); arguments as in `leakage`.

    `identities` and `rate` do not change the cosines.
    """
    return closest_faces(generated, training)[1]


def leaked(
    generated: Array,
    training: Array,
    identities: Sequence[object] | Array | None = None,
    *,
    rate: float = 0.01,
) -> Floats:
    """1 for each generated face that counts as a training identity, else 0, (n,); arguments as in `leakage`."""
    scores = leakage_scores(generated, training, identities, rate=rate)
    return np.asarray(scores.generated >= scores.threshold, dtype=np.float64)


def _people(training: Array, identities: Sequence[object] | Array | None) -> tuple[list[str], bool]:
    """Name of the person of each training face, its own where none is given; and whether any is given."""
    if identities is None:
        return [f"\0{row}" for row in range(len(training))], False
    given = np.asarray(identities, dtype=object)
    if given.shape != (len(training),):
        raise InputError(
            f"leakage: identities have shape {given.shape}, but there are {len(training)} training faces. "
            "Give one identity for each."
        )
    # None, an empty text and NaN (an empty cell of pandas) stand for an unknown person.
    unknown = [name is None or name == "" or name != name for name in given]
    names = [f"\0{row}" if unknown[row] else str(name) for row, name in enumerate(given)]
    return names, not all(unknown)


def _training_searches(
    training: Array, identities: Sequence[object] | Array | None, rate: float
) -> tuple[Floats, Ints, str]:
    """Cosines of training faces to other people, the people, and why a threshold is unreliable."""
    if not 0 < rate < 1:
        raise InputError(f"leakage: rate must lie between 0 and 1, got {rate:g}.")
    names, known = _people(training, identities)
    people = len(set(names))
    if people < 2:
        raise InputError("leakage needs at least two identities in the training set to set its threshold.")
    _, nearest = closest_faces(training, training, names, names)
    _, codes = np.unique(np.array(names, dtype=np.str_), return_inverse=True)
    notes = []
    if not known:
        notes.append(
            "the training set has no identities, so each face counts as one: repeated people raise the threshold"
        )
    if people * rate < 5:
        notes.append(f"the threshold comes from {people} people, a rate of {rate:g} needs {round(5 / rate)}")
    return nearest, np.asarray(codes), "; ".join(notes)
