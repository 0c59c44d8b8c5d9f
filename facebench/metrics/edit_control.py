"""Control of an edit: linear response to the strength, and the trade-off of expression and identity.

linearity = mean over faces of the Pearson correlation of strength and score of the wanted expression
harmonic  = mean over faces of 2 e s / (e + s),   e = score of the wanted expression, s = max(0, identity cosine)
"""

from __future__ import annotations

import numpy as np

from facebench.core.errors import InputError
from facebench.metrics.arrays import Array, Floats, matrix, vector


def control_linearity(strengths: Array, scores: Array) -> float | None:
    """Control linearity score: correlation of edit strength and expression score, in [-1, 1]; higher is better.

    The paper does not state how edits are pooled. Here every face has a correlation of its own, and the mean over faces
    is reported; a pooled correlation would also count how faces differ without an edit.

    Args:
        strengths: (k,) strengths of the edits, at least two different ones.
        scores: (faces, k) scores of the wanted expression, or (k,) for one face.

    Returns:
        The mean over faces whose scores vary; None when no score varies, where a correlation is undefined.

    Raises:
        InputError: different lengths, equal strengths, empty, NaN or infinity.

    Source:
        FFE-Bench (PixelSmile, arXiv:2603.25728), control linearity score.

    Example:
        >>> round(control_linearity([0.0, 0.5, 1.0], [[0.1, 0.4, 0.7], [0.2, 0.3, 0.2]]), 3)
        0.5
        >>> control_linearity([0.0, 0.5, 1.0], [0.2, 0.2, 0.2]) is None
        True
    """
    steps = vector(strengths, "strengths", 2)
    rows = np.asarray(scores)
    rows = matrix(rows[None] if rows.ndim == 1 else rows, "scores").astype(np.float64)
    if rows.shape[1] != len(steps):
        raise InputError(f"{len(steps)} strengths and {rows.shape[1]} scores of each face do not match.")
    if np.ptp(steps) == 0:
        raise InputError(
            "strengths are all equal, so nothing can respond to them. Edit at several strengths."
        )
    varied = rows[np.ptp(rows, axis=1) > 0]
    if len(varied) == 0:
        return None
    return float(np.clip(correlations(steps, varied), -1.0, 1.0).mean())


def correlations(strengths: Floats, scores: Floats) -> Floats:
    """Pearson correlation of each row of scores, (faces, k), with the strengths, (k,)."""
    x = strengths - strengths.mean()
    y = scores - scores.mean(axis=1, keepdims=True)
    return np.asarray((y @ x) / (np.linalg.norm(x) * np.linalg.norm(y, axis=1)))


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
    return np.divide(2 * scores * kept, total, out=np.zeros_like(total), where=total > 0)
