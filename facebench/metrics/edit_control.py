"""Control of an edit: linear response to the strength, and the trade-off of expression and identity.

linearity = mean over faces of the Pearson correlation of strength and score of the wanted expression
harmonic  = mean over faces of 2 e s / (e + s),   e = score of the wanted expression, s = max(0, identity cosine)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from facebench.core.errors import InputError
from facebench.metrics.arrays import Array, Floats, matrix, vector


@dataclass(frozen=True)
class EditLinearity:
    """Linear response of a score to the strength of an edit.

    Attributes:
        linearity: mean over faces of the Pearson correlation, in [-1, 1]; higher is better. None when no score varies.
        n: faces whose score varies.
        notes: field name to the reason why it is None or needs care.
    """

    linearity: float | None
    n: int
    notes: Mapping[str, str] = field(default_factory=dict)


def control_linearity(strengths: Array, scores: Array) -> float | None:
    """Control linearity score: correlation of edit strength and expression score, in [-1, 1]; higher is better.

    The paper does not state how edits are pooled. Here every face has a correlation of its own, and the mean over faces
    is reported; a pooled correlation would also count how faces differ without an edit.

    Args:
        strengths: (k,) strengths of the edits, at least two different ones, or (faces, k).
        scores: (faces, k) scores of the wanted expression, or (k,) for one face.

    Returns:
        The mean over faces whose scores vary; None when no score varies, where a correlation is undefined.

    Raises:
        InputError: different shapes, a face with equal strengths, empty, NaN or infinity.

    Source:
        FFE-Bench (PixelSmile, arXiv:2603.25728), control linearity score.

    Example:
        >>> round(control_linearity([0.0, 0.5, 1.0], [[0.1, 0.4, 0.7], [0.2, 0.3, 0.2]]), 3)
        0.5
        >>> control_linearity([0.0, 0.5, 1.0], [0.2, 0.2, 0.2]) is None
        True
    """
    return edit_linearity(strengths, scores).linearity


def edit_linearity(strengths: Array, scores: Array) -> EditLinearity:
    """Control linearity score with the number of faces behind it; arguments as in `control_linearity`.

    Example:
        >>> edit_linearity([0.0, 1.0], [[0.1, 0.4], [0.3, 0.3]]).n
        1
    """
    steps, rows = (np.asarray(values) for values in (strengths, scores))
    rows = np.asarray(matrix(rows[None] if rows.ndim == 1 else rows, "scores"), dtype=np.float64)
    steps = np.asarray(matrix(steps[None] if steps.ndim == 1 else steps, "strengths"), dtype=np.float64)
    if steps.shape[1] != rows.shape[1] or len(steps) not in (1, len(rows)):
        raise InputError(f"strengths {steps.shape} and scores {rows.shape} do not match.")
    if rows.shape[1] < 2 or (np.ptp(steps, axis=1) == 0).any():
        raise InputError(
            "strengths are all equal, so nothing can respond to them. Edit at several strengths."
        )
    steps = np.broadcast_to(steps, rows.shape)
    varied = np.ptp(rows, axis=1) > 0
    if not varied.any():
        return EditLinearity(None, 0, {"linearity": "the score does not vary with the strength"})
    mean = float(np.clip(correlations(steps[varied], rows[varied]), -1.0, 1.0).mean())
    constant = int((~varied).sum())
    notes = {"linearity": f"{constant} faces with a constant score are left out"} if constant else {}
    return EditLinearity(mean, int(varied.sum()), notes)


def correlations(strengths: Floats, scores: Floats) -> Floats:
    """Pearson correlation of each row of strengths with the same row of scores, both (faces, k)."""
    x, y = (rows - rows.mean(axis=1, keepdims=True) for rows in (strengths, scores))
    return np.asarray(np.einsum("ij,ij->i", x, y) / (np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1)))


def harmonic_edit_score(expression: Array | float, identity: Array | float) -> float:
    """Harmonic score of expression and identity, in [0, 1]; higher is better.

    The paper does not state whether it averages scores or faces. Here every face has a harmonic mean and the mean over
    faces is reported, so a face that gains one side by losing the other does not count. A negative cosine counts as 0.

    Args:
        expression: score of the wanted expression in [0, 1]: a number, or (n,) one for each face.
        identity: cosine of the identity of source and edit in [-1, 1], or the mean over recognisers; the same shape.

    Raises:
        InputError: different lengths, numbers outside their range, empty, NaN or infinity.

    Source:
        FFE-Bench (PixelSmile, arXiv:2603.25728), harmonic edit score.

    Example:
        >>> round(harmonic_edit_score(0.9, 0.45), 3)
        0.6
        >>> harmonic_edit_score([1.0, 0.0], [0.0, 1.0])
        0.0
    """
    return float(harmonic_edit_scores(expression, identity).mean())


def harmonic_edit_scores(expression: Array | float, identity: Array | float) -> Floats:
    """Harmonic score of every face, (n,); arguments as in `harmonic_edit_score`."""
    scores = vector(np.atleast_1d(np.asarray(expression)), "expression")
    cosines = vector(np.atleast_1d(np.asarray(identity)), "identity")
    if len(scores) != len(cosines):
        raise InputError(f"{len(scores)} expression scores and {len(cosines)} identity cosines do not match.")
    if scores.min() < 0 or scores.max() > 1:
        raise InputError("expression scores must lie between 0 and 1. Give probabilities, not logits.")
    if np.abs(cosines).max() > 1 + 1e-6:
        raise InputError("identity must hold cosines between -1 and 1. Give similarities of unit embeddings.")
    kept = cosines.clip(0.0, 1.0)
    total = scores + kept
    return np.asarray(np.divide(2 * scores * kept, total, out=np.zeros_like(total), where=total > 0))
